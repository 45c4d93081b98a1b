"""The end of the process: within its time, and at a second signal, whatever hangs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PREPARED = """
import asyncio, threading, time
from datetime import timedelta
from scheduler.daemon.loose_threads import LooseThreads
from scheduler.daemon.signals import StopSignals

async def main():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(LooseThreads())
    signals = StopSignals(
        loop=loop, stopping=asyncio.Event(), grace=timedelta(seconds=GRACE),
        leaving=timedelta(seconds=0.1), last_words=lambda: print("last words", flush=True),
    )
    with signals.heeded():
        print("ready", flush=True)
        WORK

asyncio.run(main())
"""
HANGS = "threading.Event().wait()"


@contextmanager
def process(work: str, *, grace: float = 60) -> Iterator[subprocess.Popen[str]]:
    program = PREPARED.replace("WORK", work).replace("GRACE", str(grace))
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as started:
        try:
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
            yield started
        finally:
            started.kill()


def test_a_second_signal_ends_a_process_whose_loop_hangs() -> None:
    with process(HANGS) as hanging:
        hanging.send_signal(signal.SIGTERM)
        try:
            hanging.wait(1)
        except subprocess.TimeoutExpired:
            hanging.send_signal(signal.SIGTERM)

        assert hanging.wait(60) == 128 + signal.SIGTERM
        assert "last words" in str(hanging.communicate()[0])


def test_a_stop_that_hangs_ends_after_its_grace() -> None:
    with process(HANGS, grace=0.2) as hanging:
        hanging.send_signal(signal.SIGTERM)

        assert hanging.wait(60) == 1
        assert "last words" in str(hanging.communicate()[0])


def test_a_thread_that_waits_for_ever_holds_up_no_end() -> None:
    """A name server that does not answer keeps such a thread for minutes."""
    work = "loop.run_in_executor(None, threading.Event().wait); await signals.stopping.wait()"
    with process(work) as waiting:
        waiting.send_signal(signal.SIGTERM)

        assert waiting.wait(60) == 0
