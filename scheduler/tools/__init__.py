"""Tools of a person at a terminal: nothing below depends on them, and the daemon runs without."""
