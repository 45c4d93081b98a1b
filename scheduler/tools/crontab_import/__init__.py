"""
From a crontab of cron + curl lines to definitions; nothing is run, no file is read.

crontab_file.py takes the file apart, shell_line.py a command, http_call.py the words of a curl
or a wget, trigger_call.py what its request means here, importer.py makes definitions of it.
"""

from scheduler.tools.crontab_import.importer import Imported, import_crontab

__all__ = ["Imported", "import_crontab"]
