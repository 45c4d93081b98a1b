"""
The upstream's own endpoint, made durable: a client of it changes only the address and the token.

    parameters.py  from a query to a request      upload.py   a body while it comes, to a thread
    form.py        a file out of a form            waiting.py  one poller for all who wait
    answers.py     from a run to the vendor's answer           trigger.py  the trigger's routes
    questions.py   dataset, log, jobs and verbs    relay.py    to the daemon, which asks upstream

A trigger is a durable run before anything is sent; the daemon sends it, this only waits.
"""

from scheduler.web.dropin import questions, trigger
from scheduler.web.routing import Router

router = Router()
router.include_router(trigger.router)
router.include_router(questions.router)
