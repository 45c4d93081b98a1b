"""
The composition root: builds everything, runs the loops, heeds signals, and tells systemd.

serve.py is the way in; wiring.py builds the steps; instance_lock.py keeps a second daemon off a
SQLite file; database_clock.py keeps the time of a shared database; systemd.py speaks to systemd;
housekeeping.py is what recurs.
"""

from scheduler.daemon.serve import serve

__all__ = ["serve"]
