"""A piano business, its look-alike and our tables, for tests of streams: sync, change, compare with the truth."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from sync_pipelines.core.budget import Lane
from sync_pipelines.core.db import Database
from sync_pipelines.core.secrets import MasterKeys, Secrets
from sync_pipelines.core.sync import Mode, OnProgress, Request, sync_stream
from sync_pipelines.core.totals import SyncTotals
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.gazelle import streams, vendor
from sync_pipelines.vendors.gazelle.settings import Settings
from sync_pipelines_tests.sandboxes import RunningSandbox

ACCOUNT = "gazelle/studio"
API_KEY = {"api_key": "sandbox-api-key"}
OAUTH = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "sandbox-refresh"}

COLUMNS: dict[str, dict[str, str]] = {
    "clients": {
        "company_name": "companyName",
        "status": "status",
        "tags": "tags",
        "default_contact_external_id": "defaultContactId",
        "preference_notes": "preferenceNotes",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
    "contacts": {
        "client_external_id": "clientId",
        "first_name": "firstName",
        "last_name": "lastName",
        "role": "role",
        "is_archived": "archived",
        "updated_at": "updatedAt",
    },
    "pianos": {
        "client_external_id": "clientId",
        "status": "status",
        "type": "type",
        "make": "make",
        "serial_number": "serialNumber",
        "notes": "notes",
        "last_service": "calculatedLastService",
        "calculated_next_service": "calculatedNextService",
        "updated_at": "updatedAt",
    },
    "appointments": {
        "client_external_id": "clientId",
        "technician_external_id": "userId",
        "type": "type",
        "status": "status",
        "starts_at": "start",
        "duration_minutes": "duration",
        "updated_at": "updatedAt",
    },
    "timeline_entries": {
        "client_external_id": "clientId",
        "technician_external_id": "userId",
        "type": "type",
        "occurred_at": "occurredAt",
        "comment": "comment",
    },
    "users": {"full_name": "fullName", "email": "email", "status": "status", "updated_at": "updatedAt"},
    "service_items": {"name": "name", "amount_minor": "amount", "duration_minutes": "duration"},
}
"""Our column to the truth's field."""


class Studio:
    """One account of the look-alike and a database.

    Args:
        sandbox: The look-alike.
        database: Migrated.
        credentials: API key or OAuth.
        **settings: Of the account.
    """

    def __init__(
        self, sandbox: RunningSandbox, database: Database, credentials: dict[str, str] | None = None, **settings: Any
    ) -> None:
        self.sandbox, self.control, self.database = sandbox, sandbox.control, database
        self.credentials = credentials or API_KEY
        self.settings = Settings(requests_per_second=10_000, timezone="America/Montreal", **settings)
        self.secrets = Secrets(database, MasterKeys.parse(MasterKeys.new()))
        self.runs = 0
        self.control.post("settings", rate=1e6, burst=1_000_000)

    def context(self, lane: Lane = Lane.LIVE) -> AccountContext:
        """The account as the engine opens it."""
        return AccountContext(
            id=ACCOUNT,
            base_url=self.sandbox.base_url,
            auth_url=None,
            credentials=self.credentials,
            settings=self.settings,
            database=self.database,
            secrets=self.secrets,
            lane=lane,
        )

    def sync(
        self,
        name: str,
        *,
        lane: Lane = Lane.LIVE,
        mode: Mode = Mode.INCREMENTAL,
        on_progress: OnProgress = lambda _: None,
        **request: Any,
    ) -> SyncTotals:
        """One run of one stream."""
        stream = next(stream for stream in streams.STREAMS if stream.name == name)
        self.runs += 1
        with vendor.connect(self.context(lane)) as reader:
            return sync_stream(
                stream,
                database=self.database,
                account=ACCOUNT,
                client=reader,
                run_id=f"run-{self.runs}",
                settings=self.settings,
                request=Request(mode, lane, start=self.settings.start, **request),
                on_progress=on_progress,
            )

    def sync_all(self, **options: Any) -> dict[str, SyncTotals]:
        """One run of every stream."""
        return {stream.name: self.sync(stream.name, **options) for stream in streams.STREAMS}

    def rows(self, name: str, *, deleted: bool = False) -> dict[str, dict[str, Any]]:
        """Living (or buried) rows by vendor id."""
        condition = "IS NOT NULL" if deleted else "IS NULL"
        return {row["external_id"]: row for row in self.query(f"SELECT * FROM gazelle.{name} WHERE deleted_at {condition}")}

    def query(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        """Any rows."""
        with self.database.connect() as connection:
            return connection.cursor(row_factory=dict_row).execute(text, parameters).fetchall()  # type: ignore[call-overload,no-any-return]

    def differences(self, *names: str) -> list[str]:
        """Where our tables and the vendor disagree; empty if nowhere."""
        truth = self.control.truth()
        for node in truth["appointments"].values():
            people = {"technician": node["userId"], "client": node["clientId"]}
            node["participants"] = [{"is": f"{role} {who}"} for role, who in people.items() if who]
        found: list[str] = []
        for name in names or COLUMNS:
            rows, expected = self.rows(name), truth[name]
            found += [f"{name}: {key} is too much" for key in rows.keys() - expected.keys()]
            found += [f"{name}: {key} is missing" for key in expected.keys() - rows.keys()]
            for key in rows.keys() & expected.keys():
                ours = {column: _comparable(rows[key][column]) for column in COLUMNS[name]}
                theirs = {column: _comparable(expected[key][field]) for column, field in COLUMNS[name].items()}
                if ours != theirs:
                    found.append(f"{name}: {key} differs: {ours} instead of {theirs}")
        return found + self._child_differences(truth, names)

    def _child_differences(self, truth: dict[str, Any], names: tuple[str, ...]) -> list[str]:
        found = []
        for table, stream, field, column, key in (
            ("contact_emails", "contacts", "emails", "email", "email"),
            ("contact_phones", "contacts", "phones", "phone", "phoneNumber"),
            ("contact_locations", "contacts", "locations", "postal_code", "postalCode"),
            ("appointment_participants", "appointments", "participants", "role || ' ' || participant_external_id", "is"),
            ("appointment_pianos", "appointments", "pianos", "piano_external_id", "pianoId"),
            ("appointment_services", "appointments", "services", "service_item_external_id", "masterServiceItemId"),
        ):
            if names and stream not in names:
                continue
            rows = self.query(f"SELECT external_id, {column} AS value FROM gazelle.{table} WHERE deleted_at IS NULL")
            ours = sorted((row["external_id"], row["value"]) for row in rows)
            theirs = sorted((owner, item[key]) for owner, node in truth[stream].items() for item in node[field])
            if ours != theirs:
                found.append(f"{table}: {len(ours)} rows differ from the vendor's {len(theirs)}")
        return found


def _comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if hasattr(value, "isoformat") else value
