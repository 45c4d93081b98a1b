"""
From a crontab of cron + curl lines to what they trigger; nothing is run, no file is read.

crontab_file.py takes the file apart, shell_line.py a command, http_call.py the words of a curl
or a wget, trigger_call.py what its request means here.
"""

from scheduler.domain.crontab_import.crontab_file import CrontabFile, Job, read_crontab
from scheduler.domain.crontab_import.shell_line import Call, read_command, told_program
from scheduler.domain.crontab_import.trigger_call import FileBody, TextBody, Trigger, read_trigger

__all__ = [
    "Call",
    "CrontabFile",
    "FileBody",
    "Job",
    "TextBody",
    "Trigger",
    "read_command",
    "read_crontab",
    "read_trigger",
    "told_program",
]
