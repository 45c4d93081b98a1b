"""
`demo`: the real daemon against the sandbox, watched on the terminal.

command.py is the course of it; folder.py prepares the one folder that it writes; pace.py says how
schedules are sped up; children.py starts and stops processes; watch.py shows what happens;
verdict.py judges it.
"""
