"""
The composition root: builds everything, runs the loops, heeds signals, and tells systemd.

serve.py is the way in; wiring.py builds the steps; instance_lock.py keeps a second daemon off a
SQLite file; signals.py hears wishes to stop, loose_threads.py and tokens.py let what hangs hang;
http_process.py keeps the server of [http] running; steady_clock.py keeps the time; systemd.py
speaks to systemd; housekeeping.py is what recurs.
"""

from scheduler.daemon.serve import serve

__all__ = ["serve"]
