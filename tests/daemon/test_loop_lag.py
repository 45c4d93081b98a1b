"""How late a daemon's loop was: what it keeps of its last hour."""

import pytest

from scheduler.daemon import loop_lag
from scheduler.daemon.loop_lag import LoopLag


def test_the_worst_of_each_minute_is_kept_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(loop_lag, "monotonic", lambda: now)
    lag = LoopLag()
    for second in range(0, 70 * 60, 10):
        now = float(second)
        lag._worst = now if second % 60 == 10 else 0.5
        lag.take()

    assert list(lag.by_minute) == [60.0 * minute + 10 for minute in range(10, 70)]
