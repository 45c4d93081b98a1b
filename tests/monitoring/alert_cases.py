"""What each alert fires at: series that differ from those of a daemon that is well."""

from dataclasses import dataclass
from typing import Any

Series = dict[str, str | None]
"""Values by series, a minute apart as promtool writes them; None: the series is not there."""

_TO_BE_SENT = 'start_delay_seconds_bucket{origin="schedule", le="%s"}'
_SENT = 'start_delay_seconds_count{origin="schedule"}'
_OLDEST = 'oldest_queued_timestamp_seconds{account="main"}'
_LAST_END = 'schedule_last_end_timestamp_seconds{schedule="nightly"}'
_LAST_SUCCESS = 'schedule_last_success_timestamp_seconds{schedule="nightly"}'
_REFUSED = 'runs_ended_total{state="failed", reason="refused"}'
_MISSED = 'runs_ended_total{state="skipped", reason="missed"}'
_DAY = 24 * 3600

WELL: Series = {
    'build_info{version="1"}': "1x200",
    "daemons": "1x200",
    'daemon_troubled{daemon="h:1"}': "0x200",
    'daemon_loop_lag_seconds{daemon="h:1"}': "0.01x200",
    'config_load_successful{daemon="h:1"}': "1x200",
    "late_schedules": "0x200",
    "overdue_collections": "0x200",
    'account_braking{account="main"}': "0x200",
    'account_paused{account="main"}': "0x200",
    'account_throttled{account="main"}': "1x200",
    'account_throttled_limit{account="main"}': "8x200",
    'open_runs{state="unconfirmed"}': "0x200",
    'open_runs{state="needs_attention"}': "0x200",
    'invalid_rows{table="schedules"}': "0x200",
    _REFUSED: "5x200",
    _MISSED: "5x200",
    _OLDEST: "0+60x200",
    'alerts_open{kind="overrun"}': "0x200",
    **{_TO_BE_SENT % bound: "0+9x200" for bound in ("0.5", "900", "+Inf")},
    _SENT: "0+9x200",
    _LAST_END: f"{_DAY}x200",
    _LAST_SUCCESS: f"{_DAY}x200",
}


@dataclass(frozen=True, slots=True)
class Case:
    """After an hour, or *minutes*, *alerts* fire and no others: their names with their labels."""

    title: str
    series: Series
    alerts: tuple[str, ...] = ()
    minutes: int = 60

    def as_promtool_has_it(self) -> dict[str, Any]:
        """Return it as one test of `promtool test rules`."""
        return {
            "name": self.title,
            "interval": "1m",
            "input_series": [
                {"series": name if "node_" in name else f"dca_scheduler_{name}", "values": values}
                for name, values in (WELL | self.series).items()
                if values is not None
            ],
            "promql_expr_test": [
                {
                    "expr": 'sum without (alertstate, severity) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{self.minutes}m",
                    "exp_samples": [
                        {"labels": _labels(alert), "value": 1} for alert in self.alerts
                    ],
                }
            ],
        }


def _labels(alert: str) -> str:
    name, _, labels = alert.partition("{")
    return f'{{alertname="{name}", {labels}' if labels else f'{{alertname="{name}"}}'


CASES = (
    Case("all is well", {}),
    Case("nobody answers", dict.fromkeys(WELL), ("DcaSchedulerSilent",)),
    Case(
        "the file is not written any more",
        {'node_textfile_mtime_seconds{file="/x/dca-scheduler.prom"}': "0x200"},
        ('DcaSchedulerFileIsOld{file="/x/dca-scheduler.prom"}',),
    ),
    Case("no daemon runs", {"daemons": "0x200"}, ("DcaSchedulerNoDaemon",)),
    Case("one of two daemons is gone", {"daemons": "2x40 1x160"}, ("DcaSchedulerDaemonGone",)),
    Case(
        "a daemon is in trouble",
        {'daemon_troubled{daemon="h:1"}': "1x200"},
        ('DcaSchedulerTroubled{daemon="h:1"}',),
    ),
    Case(
        "a daemon comes late",
        {'daemon_loop_lag_seconds{daemon="h:1"}': "3x200"},
        ('DcaSchedulerLoopLags{daemon="h:1"}',),
    ),
    Case(
        "a configuration was refused",
        {'config_load_successful{daemon="h:1"}': "0x200"},
        ('DcaSchedulerConfigRefused{daemon="h:1"}',),
    ),
    Case("a schedule is late", {"late_schedules": "0x50 2x150"}, ("DcaSchedulerLate",)),
    Case("runs start late", {_TO_BE_SENT % "0.5": "0x200"}, ("DcaSchedulerStartsLate",)),
    Case(
        "runs wait, and nothing is sent",
        {
            **{_TO_BE_SENT % bound: "0+9x30 270x170" for bound in ("0.5", "900", "+Inf")},
            _SENT: "0+9x30 270x170",
            _OLDEST: "1800x200",
        },
        ('DcaSchedulerStuck{account="main"}',),
    ),
    Case("a run waits while others are sent", {_OLDEST: "0x200"}),
    Case(
        "an account brakes most of the time",
        {'account_braking{account="main"}': "1x200"},
        ('DcaSchedulerBraked{account="main"}',),
    ),
    Case(
        "an account comes near its limit of 429",
        {'account_throttled{account="main"}': "7x200"},
        ('DcaSchedulerThrottled{account="main"}',),
    ),
    Case(
        "an account is paused",
        {'account_paused{account="main"}': "1x200"},
        ('DcaSchedulerAccountPaused{account="main"}',),
    ),
    Case("a run failed", {_REFUSED: "0x50 1x150"}, ('DcaSchedulerFailing{reason="refused"}',)),
    Case("a run failed long ago", {_REFUSED: "0x50 1x150"}, minutes=180),
    Case("an occurrence was missed", {_MISSED: "0x50 1x150"}, ("DcaSchedulerMissed",)),
    Case(
        "a run is unconfirmed for long",
        {'open_runs{state="unconfirmed"}': "1x200"},
        ('DcaSchedulerUnconfirmed{state="unconfirmed"}',),
    ),
    Case(
        "a run needs a person",
        {'open_runs{state="needs_attention"}': "1x200"},
        ('DcaSchedulerNeedsAttention{state="needs_attention"}',),
    ),
    Case("a collection is overdue", {"overdue_collections": "1x200"}, ("DcaSchedulerOverdue",)),
    Case(
        "a row is set aside",
        {'invalid_rows{table="schedules"}': "1x200"},
        ('DcaSchedulerSetAside{table="schedules"}',),
    ),
    Case(
        "a collection runs for longer than usual",
        {'alerts_open{kind="overrun"}': "1x200"},
        ('DcaSchedulerAstray{kind="overrun"}',),
    ),
    Case(
        "a schedule succeeded two days ago, and has ended otherwise since",
        {_LAST_END: "0x200", _LAST_SUCCESS: f"-{_DAY}x200"},
        ('DcaSchedulerNoSuccess{schedule="nightly"}',),
    ),
    Case("a schedule failed, after a success", {_LAST_END: "3600x200", _LAST_SUCCESS: "0x200"}),
    Case(
        "a weekly schedule succeeded the last time",
        {_LAST_END: f"-{6 * _DAY}x200", _LAST_SUCCESS: f"-{6 * _DAY}x200"},
    ),
    Case(
        "a schedule never succeeded",
        {_LAST_SUCCESS: None},
        ('DcaSchedulerNoSuccess{schedule="nightly"}',),
    ),
    Case(
        "a ready_by does not hold",
        {'schedules_unready{kind="not_ready"}': "1x200"},
        ('DcaSchedulerNotReady{kind="not_ready"}',),
    ),
    Case("inputs are left out", {"parked_inputs": "3x200"}, ("DcaSchedulerParked",)),
    Case("somebody else runs a job", {'other_jobs{account="main"}': "1x200"}),
    Case("a result is too old", {"schedules_stale": "1x200"}, ("DcaSchedulerStale",)),
    Case(
        "a result was given up",
        {'results_unsaved{state="failed"}': "1x200"},
        ('DcaSchedulerUnsaved{state="failed"}',),
    ),
    Case("a result waits to be saved", {'results_unsaved{state="waiting"}': "1x200"}),
    Case(
        "a budget is used up",
        {
            'budget_used{budget="all",unit="money"}': "100x200",
            'budget_allowed{budget="all",unit="money"}': "100x200",
        },
        ('DcaSchedulerBudgetSpent{budget="all",unit="money"}',),
    ),
    Case(
        "a notice does not arrive",
        {'notices_oldest_timestamp_seconds{channel="ops"}': "0x200"},
        ('DcaSchedulerNoticesStuck{channel="ops"}',),
    ),
)
