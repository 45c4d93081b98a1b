"""Sends one message by apprise: `python -m scheduler.daemon.apprise_sender`, told what by JSON."""

import json
import sys

NOT_INSTALLED = 3
"""The exit code without the package: pip install apprise."""


def main() -> int:
    """Read addresses, title and body from standard input, and send them; 0 if all have it."""
    try:
        import apprise
    except ImportError:
        return NOT_INSTALLED
    asked = json.load(sys.stdin)
    sender = apprise.Apprise()
    if not all(sender.add(url) for url in asked["urls"]):
        return 2
    return 0 if sender.notify(title=asked["title"], body=asked["body"]) else 1


if __name__ == "__main__":
    sys.exit(main())
