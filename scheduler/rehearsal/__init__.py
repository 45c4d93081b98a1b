"""
The daemon's own steps in time that is made up, against an upstream in the same process.

`virtual_loop` is the time, `upstream` who is asked, `daemon` the engine as `daemon/wiring.py` makes
it, `rehearse` a week of a file's schedules, `report` what came of it. Nothing waits for real, and
nothing leaves the process.
"""
