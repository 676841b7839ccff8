"""The suppliers for the rest of the product: how to connect an account of any of them, and how to tell whether it works."""

from __future__ import annotations

from sync_pipelines.core.vendor import AccountContext, CheckItem, Vendor
from sync_pipelines.vendors.suppliers.beats import next_beat
from sync_pipelines.vendors.suppliers.connectors import CONNECTORS
from sync_pipelines.vendors.suppliers.session import Session
from sync_pipelines.vendors.suppliers.streams import STREAMS


def connect(context: AccountContext) -> Session:
    """Opens a session for an account of any supplier."""
    connector = CONNECTORS[context.vendor]
    return Session(connector, connector.open(context), context)


def check(session: Session) -> list[CheckItem]:
    """Tries an account's connection and credentials."""
    return session.client.check()


VENDOR = Vendor(
    name="suppliers",
    streams=tuple(STREAMS.values()),
    connect=connect,
    check=check,
    accounts_of=tuple(CONNECTORS),
    next_beat=next_beat,
)
