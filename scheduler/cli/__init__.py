"""
The command line: click commands that read, call one action, and answer.

main.py is the way in; lazy.py imports a command when it is asked for; session.py opens what
commands need; options.py holds what several take; render.py writes tables and JSON; exit_codes.py
says how a command ends. Every other file is a noun, or a verb of its own. So that help starts
fast, commands import what is heavy (storage, actions, configuration) in their bodies.
"""
