"""When a run was meant to be sent, whoever asks how late it is."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.lateness import meant_at
from tests.make import NINE, make_run, minutes

YEARS_AGO = NINE - timedelta(days=1000)


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        ({"created_by": None, "fence": 1}, NINE),
        ({"created_by": None, "fence": 1, "created_at": NINE + minutes(5)}, NINE),
        ({"created_by": None, "fence": 1, "not_before": NINE + minutes(3)}, NINE + minutes(3)),
        ({"created_by": None, "fence": 2, "not_before": NINE + minutes(3)}, NINE),
        ({"created_by": "ann", "fence": 2, "due_at": YEARS_AGO, "created_at": NINE}, NINE),
    ],
    ids=["as due", "fired late", "with jitter", "after an attempt", "a backfill, after an attempt"],
)
def test_when_a_run_was_meant(columns: dict[str, Any], meant: datetime) -> None:
    usual = {"due_at": NINE, "created_at": NINE, "not_before": NINE}

    assert meant_at(make_run(**(usual | columns))) == meant
