"""`costs`: what a month has cost and will cost, and what is left of its budgets."""

from collections.abc import Iterator

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import Member, json_option
from scheduler.cli.render import one_line, print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.tools.costs import BudgetForecast, CostsBy, CostsView, read_costs
from scheduler.tools.invoice import InvoiceView

_COLUMNS = (
    *("name", "runs", "inputs", "page_loads", "money"),
    *("to_come", "page_loads_in_the_end", "money_in_the_end"),
)


@click.command(cls=Command)
@click.option("--month", metavar="2026-11", help="Which month, in UTC; this one if left out.")
@click.option(
    "--by",
    type=Member(CostsBy),
    default=CostsBy.SCHEDULE.value,
    show_default=True,
    help="What is added up; a run with several labels counts for each.",
)
@click.option("--invoice", is_flag=True, help="What the upstream bills, and for whose runs.")
@json_option
@pass_session
def costs(session: Session, month: str | None, by: CostsBy, invoice: bool, as_json: bool) -> None:
    """
    Say what a month costs, and what is left of its budgets.

    Page loads count on the day on which their collection ended. To come are the runs that are due
    until the month's end, with as many inputs and page loads as of late. Money needs the
    account's price_per_thousand. The invoice is what accounts with `invoice = true` are billed.
    """
    view = session.ask(read_costs, month=month, by=by)
    if as_json:
        print_json(view)
        return
    if invoice:
        _print_invoice(view)
        return
    rows = [*_rows(view)]
    has_money = view.total.money is not None
    columns = [name for name in _COLUMNS if has_money or not name.startswith("money")]
    print_table(rows, columns, empty=f"nothing in {view.month}")
    for forecast in view.budgets:
        click.echo(one_line(_sentence(forecast)))
    if view.invoice is not None:
        _say_invoice(view.invoice)


def _print_invoice(view: CostsView) -> None:
    found = view.invoice
    if found is None:
        raise CommandEnded(
            ExitCode.REFUSED, "no account asks for its bills: write invoice = true into one"
        )
    print_table(found.lines, ("name", "billed_money"), empty=f"no run was billed in {view.month}")
    if found.unknown:
        click.echo("\nin no run here:")
        print_table(found.unknown, ("account", "day", "subject", "billed_money"), empty="")
    _say_invoice(found)


def _say_invoice(invoice: InvoiceView) -> None:
    for source in invoice.sources:
        if source.trouble is not None:
            say(f"account {source.account}: {source.trouble}", err=True)
    say(_of_invoice(invoice))


def _of_invoice(invoice: InvoiceView) -> str:
    told = [source.told_at for source in invoice.sources if source.told_at is not None]
    at = f", as told at {display_time(min(told))}" if told else ", but nothing was told yet"
    return (
        f"the upstream bills {invoice.billed_money:,.2f}, {invoice.unknown_money:,.2f} of it for"
        f" what is in no run here{at}"
    )


def _rows(view: CostsView) -> Iterator[dict[str, object]]:
    lines = (*view.lines, view.total) if view.lines else ()
    for line in lines:
        yield {
            "name": line.name,
            "runs": line.run_count,
            "inputs": line.input_count,
            "page_loads": line.page_loads,
            "money": line.money,
            "to_come": line.forecast_run_count,
            "page_loads_in_the_end": line.forecast_page_loads,
            "money_in_the_end": line.forecast_money,
        }


def _sentence(forecast: BudgetForecast) -> str:
    budget = forecast.budget
    spent = f", spent on {display_time(forecast.spent_at)}" if forecast.spent_at else ""
    return (
        f"budget {budget.name} of {budget.scope} ({budget.mode}): {budget.percent_used:g} % used or"
        f" expected, {forecast.forecast_percent:g} % in the end{spent}"
    )
