"""
The exact query and body a run will send.

options.py turns what is asked for into parameters, body_writer.py inputs into a body, body.py that
into what leaves; secrets.py keeps credentials out until both are sent; template.py fills names.
"""

from scheduler.domain.request.body import body_content, body_frame, body_inputs, render_body
from scheduler.domain.request.body_writer import MOST_BYTES, BodyTooLarge, BodyWriter, SendAs, Spool
from scheduler.domain.request.options import (
    Behaviour,
    Params,
    TriggerOptions,
    choose_behaviour,
    read_object,
    trigger_params,
)
from scheduler.domain.request.secrets import (
    check_destinations,
    check_references,
    expand_secrets,
    secret_names,
)
from scheduler.domain.request.template import (
    check_name_template,
    render_due_at,
    render_name,
    render_path,
    render_placeholders,
)
from scheduler.domain.request.trigger_request import (
    Pieces,
    TriggerRequest,
    query_string,
    time_to_send,
)

__all__ = [
    "MOST_BYTES",
    "Behaviour",
    "BodyTooLarge",
    "BodyWriter",
    "Params",
    "Pieces",
    "SendAs",
    "Spool",
    "TriggerOptions",
    "TriggerRequest",
    "body_content",
    "body_frame",
    "body_inputs",
    "check_destinations",
    "check_name_template",
    "check_references",
    "choose_behaviour",
    "expand_secrets",
    "query_string",
    "read_object",
    "render_body",
    "render_due_at",
    "render_name",
    "render_path",
    "render_placeholders",
    "secret_names",
    "time_to_send",
    "trigger_params",
]
