"""
The exact query and body a run will send.

options.py turns what is asked for into parameters, body.py inputs into a body; secrets.py keeps
credentials out until both are sent; template.py fills names; curl.py shows it all to a person.
"""

from scheduler.domain.request.body import SendAs, body_content, body_inputs, render_body
from scheduler.domain.request.curl import curl_command, query_string
from scheduler.domain.request.options import (
    Behaviour,
    Params,
    TriggerOptions,
    choose_behaviour,
    read_object,
    trigger_params,
)
from scheduler.domain.request.secrets import check_references, expand_secrets, secret_names
from scheduler.domain.request.template import check_name_template, render_due_at, render_name
from scheduler.domain.request.trigger_request import TriggerRequest

__all__ = [
    "Behaviour",
    "Params",
    "SendAs",
    "TriggerOptions",
    "TriggerRequest",
    "body_content",
    "body_inputs",
    "check_name_template",
    "check_references",
    "choose_behaviour",
    "curl_command",
    "expand_secrets",
    "query_string",
    "read_object",
    "render_body",
    "render_due_at",
    "render_name",
    "secret_names",
    "trigger_params",
]
