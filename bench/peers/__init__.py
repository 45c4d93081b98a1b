"""
Other job queues at the same work: take a stored job, POST its body, keep the outcome.

Each module runs in an environment of its own: `python -m bench.peers.NAME DATABASE STUB NUMBER`
queues so many jobs, works them off with 64 at a time (huey with 16), and prints the jobs a second.
"""
