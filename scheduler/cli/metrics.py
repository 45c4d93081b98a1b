"""`metrics`: the figures for Prometheus without any port, and what is made of them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from scheduler.cli.examples import alert_rules_file, dashboard_file
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.config.settings import MetricsSettings
from scheduler.domain.errors import ConfigError
from scheduler.domain.timestamps import display_time
from scheduler.views.metrics import expose, read_metrics
from scheduler.views.metrics.catalogue import Distribution, Family, Metric, Sample


@click.command(cls=Command)
@click.option("--text", "form", flag_value="text", help="Prometheus' text, for node_exporter.")
@click.option("--alert-rules", "form", flag_value="alerts", help="Alert rules for Prometheus.")
@click.option("--dashboard", "form", flag_value="dashboard", help="A dashboard for Grafana.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file, in one step: whoever reads it sees the old or the new, whole.",
)
@json_option
@pass_session
def metrics(session: Session, form: str | None, output: Path | None, as_json: bool) -> None:
    """
    Print figures for Prometheus, alert rules, or a dashboard.

    The figures come out of the database: no port and no daemon is needed. For the textfile
    collector of node_exporter, from a timer:

    \b
      dca-scheduler metrics --text -o /var/lib/prometheus/node-exporter/dca-scheduler.prom

    /metrics over HTTP tells the same.
    """
    if as_json and (form or output):
        raise click.UsageError("--json stands alone: it is printed")
    if form in _FILES:
        _put(_FILES[form]().read_bytes(), output)
        return
    families = session.ask(read_metrics, max_schedules=_max_schedules(session))
    if form == "text" or output is not None:
        text, _ = expose(families)
        _put(text, output)
    else:
        _print(families, as_json=as_json)


_FILES: Final = {"alerts": alert_rules_file, "dashboard": dashboard_file}


def _max_schedules(session: Session) -> int:
    """Return how many schedules have series; what watches goes on where the file is wrong."""
    try:
        return session.load().config.metrics.max_schedules
    except ConfigError:
        return MetricsSettings().max_schedules


def _put(content: bytes, output: Path | None) -> None:
    if output is None:
        click.echo(content.decode(), nl=False)
        return
    # No collector reads what does not end in .prom, and rename is one step within a folder.
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.chmod(0o644)
        draft.replace(output)
    except OSError as error:
        raise CommandEnded(ExitCode.REFUSED, f"{output}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _print(families: Sequence[Family], *, as_json: bool) -> None:
    if as_json:
        print_json({family.metric.exposed: _values(family) for family in families})
        return
    rows = [
        {
            "metric": family.metric.exposed,
            "labels": ", ".join(f"{name}={label}" for name, label in _labels(family, sample)),
            "value": _shown(family.metric, sample.value),
        }
        for family in families
        for sample in family.samples
    ]
    print_table(rows, ("metric", "labels", "value"), empty="nothing is measured")


def _labels(family: Family, sample: Sample) -> Iterator[tuple[str, str]]:
    return zip(family.metric.labels, sample.labels, strict=True)


def _values(family: Family) -> list[dict[str, object]]:
    return [
        {"labels": dict(_labels(family, sample)), "value": sample.value}
        for sample in family.samples
    ]


def _shown(metric: Metric, value: float | Distribution) -> str:
    if isinstance(value, Distribution):
        count = value.buckets[-1][1]
        return f"{count:g}, {value.seconds / count:.3g}s each" if count else "0"
    if metric.name.endswith("timestamp_seconds"):
        return display_time(datetime.fromtimestamp(value, UTC))
    return f"{value:g}"
