"""What a person can have an account's upstream asked."""

from datetime import datetime

from scheduler.domain.account_questions import AccountCall
from scheduler.storage import account_questions, accounts
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


def ask_collectors(conn: Connection, account: str, *, by: str, now: datetime) -> None:
    """Have a daemon ask for the account's collectors; raises NotFound."""
    accounts.get_account(conn, account)
    account_questions.ask(conn, account, AccountCall.COLLECTORS, at=now)
    record_change(conn, by, "sync", f"accounts.{account}", now=now)
    announce(conn)
