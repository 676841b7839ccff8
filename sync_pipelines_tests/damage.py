"""Differences planted by hand: a row deleted, a row altered, a row invented; and the comparison that has to find them."""

from __future__ import annotations

from typing import Any

from psycopg.sql import SQL, Composed, Identifier

from sync_pipelines.core.db import Database
from sync_pipelines.core.reconciliation import Reconciliation
from sync_pipelines.core.reconciling import reconcile_stream
from sync_pipelines.core.stream import Stream
from sync_pipelines.core.tables import key_names


def compare(database: Database, stream: Stream[Any], account: str, client: Any, settings: Any, **options: Any) -> Reconciliation:
    """One comparison, which must have something to compare."""
    found = reconcile_stream(
        stream, database=database, account=account, client=client, run_id="compare", settings=settings, **options
    )
    assert found is not None
    return found


class Damage:
    """Three rows of one table.

    Args:
        database: Ours.
        stream: Whose table.
        alter: A column to alter and its new value, as SQL.
        where: Which rows may be damaged, as SQL.
    """

    def __init__(self, database: Database, stream: Stream[Any], alter: tuple[str, str], where: str = "true") -> None:
        self.table, self.key = stream.table, key_names(stream.table)
        self._name = Identifier(stream.table.schema or "public", stream.table.name)
        with database.connect() as connection:
            keys = SQL(", ").join(Identifier(name) for name in self.key)
            found = connection.execute(
                SQL("SELECT {} FROM {} WHERE deleted_at IS NULL AND {} ORDER BY {} LIMIT 3").format(
                    keys, self._name, _given(where), keys
                )
            ).fetchall()
            assert len(found) == 3, f"{stream.key} has too few rows"
            self.deleted, self.altered, copied = found
            column, value = alter
            connection.execute(SQL("DELETE FROM {} WHERE {}").format(self._name, self._same()), self.deleted)
            connection.execute(
                SQL("UPDATE {} SET {} = {} WHERE {}").format(self._name, Identifier(column), _given(value), self._same()),
                self.altered,
            )
            self.invented = self._invent(connection, copied)

    def _invent(self, connection: Any, copied: tuple[Any, ...]) -> tuple[Any, ...]:
        forged = (copied[0], _forged(copied[1]), *copied[2:])
        others = [column.name for column in self.table.columns if column.name not in self.key and column.computed is None]
        names = SQL(", ").join(Identifier(name) for name in others)
        connection.execute(
            SQL("INSERT INTO {table} ({keys}, {names}) SELECT {forged}, {names} FROM {table} WHERE {same}").format(
                table=self._name,
                keys=SQL(", ").join(Identifier(name) for name in self.key),
                names=names,
                forged=SQL(", ").join([SQL("%s")] * len(forged)),
                same=self._same(),
            ),
            [*forged, *copied],
        )
        return forged

    def _same(self) -> Composed:
        return SQL(" AND ").join(SQL("{} = %s").format(Identifier(name)) for name in self.key)

    def must_be_found(self, found: Reconciliation) -> None:
        """All three are named; two are mended."""
        expected = {"missing": [_text(self.deleted)], "altered": [_text(self.altered)], "invented": [_text(self.invented)]}
        assert found.samples == expected, f"{found.samples} instead of {expected}"
        assert (found.repaired, found.different) == (2, 1)


def _forged(part: Any) -> Any:
    """Part of a key that no vendor has given out."""
    if isinstance(part, int):
        return part + 987_000_000
    return f"987{part}" if part.isdigit() else f"{part[:-2]}ZZ"


def _text(key: tuple[Any, ...]) -> str:
    return "/".join(str(part) for part in key[1:])


def _given(text: Any) -> SQL:
    return SQL(text)
