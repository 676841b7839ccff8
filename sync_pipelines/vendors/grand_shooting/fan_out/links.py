"""Links as the fan-out works them: compiled once, registered in the database, each behind a circuit of its own.

The circuit opens when a secondary account fails as a whole (refused token, 5xx, no answer). Nothing is claimed for the link while
it is open, so its tasks wait unharmed; afterwards one cheap read decides whether it closes. Other links do not notice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from psycopg import Connection

from sync_pipelines.core.errors import AuthError, RemoteError
from sync_pipelines.core.queue import QueueSpec
from sync_pipelines.vendors.grand_shooting.fan_out.tasks import for_link
from sync_pipelines.vendors.grand_shooting.mapping import Replication, compile_link
from sync_pipelines.vendors.grand_shooting.settings import Link

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
AUTH_PAUSE = timedelta(minutes=1)
"""A refused token needs a person; asking more often only fills the vendor's log."""

_REGISTER = """
insert into grand_shooting.links as l (link, main, secondary, is_followed, configuration)
values (%(link)s, %(main)s, %(secondary)s, %(is_followed)s, %(configuration)s)
on conflict (link) do update set main = excluded.main, secondary = excluded.secondary, is_followed = excluded.is_followed,
    configuration = excluded.configuration
where (l.main, l.secondary, l.is_followed, l.configuration)
    is distinct from (excluded.main, excluded.secondary, excluded.is_followed, excluded.configuration)
"""


@dataclass(frozen=True)
class WorkingLink:
    """A link ready to be worked.

    Attributes:
        link: Its configuration.
        replication: Filter and mapping, compiled.
        configuration: Digest of filter and mapping; another one means that every reference has to be looked at again.
        queue: The fan-out queue with this link's retries.
    """

    link: Link
    replication: Replication
    configuration: bytes
    queue: QueueSpec

    @classmethod
    def of(cls, link: Link) -> WorkingLink:
        """Compiles a link.

        Raises:
            LinkInvalid: It cannot be activated.
        """
        text = link.model_dump_json(include={"filter", "mapping"}, exclude_unset=True)
        return cls(link, compile_link(link), blake2b(text.encode(), digest_size=8).digest(), for_link(link.retries))

    @property
    def id(self) -> str:
        """The link's id."""
        return self.link.id


@dataclass(frozen=True, slots=True)
class Circuit:
    """How a link's secondary account has been doing."""

    failures: int
    open_until: datetime | None
    trouble: str | None
    is_open: bool
    is_paused: bool


def register(connection: Connection[Any], links: Iterable[WorkingLink], main: str) -> None:
    """Makes these the links of a main account, so that stored changes become tasks for them. Removed links get no further tasks."""
    known = sorted(links, key=lambda working: working.id)
    for working in known:
        link = working.link
        connection.execute(
            _REGISTER,
            {
                "link": link.id,
                "main": link.main,
                "secondary": link.secondary,
                "is_followed": link.webhooks,
                "configuration": working.configuration,
            },
        )
    connection.execute(
        "update grand_shooting.links set is_followed = false where main = %s and is_followed and link <> all(%s)",
        [main, [working.id for working in known]],
    )


def circuit(connection: Connection[Any], link: str) -> Circuit:
    """The state of a link's circuit."""
    row = connection.execute(
        "select failures, open_until, trouble, coalesce(open_until > clock_timestamp(), false), paused_at is not null"
        " from grand_shooting.links where link = %s",
        [link],
    ).fetchone()
    return Circuit(*row) if row else Circuit(0, None, None, is_open=False, is_paused=False)


def trip(connection: Connection[Any], link: str, error: RemoteError) -> timedelta:
    """Opens the circuit, longer with every failure in a row; returns for how long."""
    failures = circuit(connection, link).failures + 1
    pause: timedelta = min(
        LONGEST_PAUSE, max(FIRST_PAUSE * 2 ** min(failures - 1, 10), AUTH_PAUSE if isinstance(error, AuthError) else FIRST_PAUSE)
    )
    connection.execute(
        "update grand_shooting.links set failures = %s, open_until = clock_timestamp() + %s, trouble = %s where link = %s",
        [failures, pause, str(error)[:500], link],
    )
    return pause


def close(connection: Connection[Any], link: str) -> None:
    """Closes the circuit after a success."""
    connection.execute(
        "update grand_shooting.links set failures = 0, open_until = null, trouble = null where link = %s and failures > 0", [link]
    )


def pause(connection: Connection[Any], link: str, *, by: str) -> bool:
    """Stops a link at once, without touching the configuration; its tasks collect. ``False`` if it was paused before."""
    return bool(
        connection.execute(
            "update grand_shooting.links set paused_at = clock_timestamp(), paused_by = %s where link = %s and paused_at is null",
            [by, link],
        ).rowcount
    )


def resume(connection: Connection[Any], link: str) -> bool:
    """Lets a paused link go on; ``False`` if it was not paused."""
    return bool(
        connection.execute(
            "update grand_shooting.links set paused_at = null, paused_by = null where link = %s and paused_at is not null", [link]
        ).rowcount
    )
