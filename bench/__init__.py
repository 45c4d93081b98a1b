"""The project measured the way a sceptic would: `python3 dev.py bench`."""
