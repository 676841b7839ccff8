"""Grand Shooting over HTTP: keyset pages, batched reads, the bulk upsert, deletes, webhook registration. Decides nothing.

Every write is safe to repeat: an upsert goes by ``ref`` and a delete that finds nothing is done (facts.md §7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from sync_pipelines.core.budget import BucketSpec
from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.http import CallStats, HeaderKey, HttpClient, Response
from sync_pipelines.core.jsons import Json, encode_json
from sync_pipelines.vendors.grand_shooting.models import Subscription

CALLS = "calls"
"""The account's quota."""

PACE = "pace"
"""What a link leaves of it to others."""

PAGE = 100
REFERENCE_TOPICS = ("references/create", "references/update", "references/delete")

_raw_items = msgspec.json.Decoder(list[msgspec.Raw])


class _Key(msgspec.Struct):
    reference_id: int | str
    ref: str | None = None

    @property
    def number(self) -> int:
        return int(self.reference_id)


_keys = msgspec.json.Decoder(list[_Key])


@dataclass(frozen=True, slots=True)
class ReferencePage:
    """One page of references.

    Attributes:
        body: As received, a bare array.
        request: What was asked, for the archive.
        last_id: The highest id on the page; 0 on an empty one.
        is_last: Whether nothing follows.
    """

    body: bytes
    request: str
    last_id: int
    is_last: bool

    def items(self) -> list[bytes]:
        """The JSON text of each reference."""
        return [bytes(item) for item in _raw_items.decode(self.body)]


@dataclass(frozen=True, slots=True)
class Written:
    """One reference as a bulk call confirms it."""

    ref: str
    reference_id: int


def bucket(name: str, requests_per_second: float) -> BucketSpec:
    """A quota: so many calls in any second, evenly spaced (facts.md §6); two at once, as one is held until answered."""
    calls = max(1, int(requests_per_second))
    return BucketSpec.per_window(name, calls, calls / requests_per_second, burst=min(2.0, calls))


class GrandShootingClient:
    """All calls to one account.

    Args:
        http: Has ``…/v3`` as base address and the bucket `CALLS` as default.
        overlap_days: Days that a list of changes begins earlier than asked for, the day every delta reads again included.
    """

    def __init__(self, http: HttpClient, *, overlap_days: int = 1) -> None:
        self.http = http
        self.overlap_days = overlap_days

    @property
    def stats(self) -> CallStats:
        """Counts of this client's calls."""
        return self.http.stats

    @property
    def account(self) -> str:
        """``vendor/name``."""
        return self.http.account

    def close(self) -> None:
        """Closes the connections."""
        self.http.close()

    # -- reading ----------------------------------------------------------------------------------------------------------------

    def pages(self, *, after: int = 0, changed: tuple[date, date] | None = None) -> Iterator[ReferencePage]:
        """References by ascending id: keyset paging, because offsets end at 10,000 (facts.md §3).

        Args:
            after: Only ids above.
            changed: First and last day of ``date_mod``, both included.

        Raises:
            ContractError: A page does not move on, which would never end.
        """
        while True:
            params: list[tuple[str, Any]] = [("sort_by", "reference_id"), ("reference_id", f"gt:{after}")]
            if changed is not None:
                params += [("date_mod", f"gte:{changed[0].isoformat()}"), ("date_mod", f"lte:{changed[1].isoformat()}")]
            page = self._page(params)
            if not page.is_last and page.last_id <= after:
                raise ContractError(f"{self.account}: paging references does not move on from id {after}", account=self.account)
            yield page
            if page.is_last:
                return
            after = page.last_id

    def by_ids(self, reference_ids: Iterable[int]) -> ReferencePage:
        """At most 100 references by id; those that do not exist are missing from the page."""
        return self._page([("reference_id", str(number)) for number in reference_ids])

    def by_refs(self, refs: Iterable[str]) -> ReferencePage:
        """At most 100 references by ``ref``."""
        return self._page([("ref", ref) for ref in refs])

    def exists(self, reference_id: int) -> bool:
        """Whether the reference is there."""
        return self.http.request("GET", f"/reference/{reference_id}", expect={404}).status != 404

    def holder_of(self, ean: str) -> str | None:
        """The ``ref`` that holds a barcode."""
        found = _keys.decode(self._page([("ean", ean)]).body)
        return found[0].ref if found else None

    def me(self) -> Json:
        """The account the token belongs to; not in the vendor's specification, so absence is ``None``."""
        answer = self.http.request("GET", "/account/me", expect={404})
        return None if answer.status == 404 else answer.json()

    def _page(self, params: list[tuple[str, Any]]) -> ReferencePage:
        answer = self.http.request("GET", "/reference", params=params)
        try:
            keys = _keys.decode(answer.body)
        except msgspec.MsgspecError as error:
            raise ContractError(
                f"{self.account}: the list of references is no array of references", account=self.account, body=answer.body
            ) from error
        request = "GET /reference?" + "&".join(f"{name}={value}" for name, value in params)
        return ReferencePage(answer.body, request, max((key.number for key in keys), default=0), _is_last(answer, len(keys)))

    # -- writing ----------------------------------------------------------------------------------------------------------------

    def upsert(self, references: Sequence[bytes]) -> list[Written]:
        """Creates or updates at most 100 references by ``ref``, each given as JSON text with every ``ref`` only once.

        Raises:
            DataError: Refused; nothing of the call was done (assumed, facts.md §9).
            ContractError: The answer does not name what was written.
        """
        answer = self.http.request(
            "POST", "/reference/bulk", content=b"[" + b",".join(references) + b"]", headers={"Content-Type": "application/json"}
        )
        try:
            return [Written(key.ref or "", key.number) for key in _keys.decode(answer.body)]
        except msgspec.MsgspecError as error:
            raise ContractError(
                f"{self.account}: unreadable answer of a bulk call", account=self.account, body=answer.body
            ) from error

    def delete(self, reference_id: int) -> bool:
        """Deletes a reference; ``False`` if there was none."""
        return self.http.request("DELETE", f"/reference/{reference_id}", expect={404}, answer="any").status != 404

    # -- webhooks ---------------------------------------------------------------------------------------------------------------

    def subscriptions(self) -> list[Subscription]:
        """Every registered webhook of the account."""
        return [Subscription.model_validate(item) for item in self.http.request("GET", "/webhook").json()]

    def subscribe(self, address: str, topic: str) -> Subscription:
        """Registers one address for one topic."""
        body = encode_json({"address": address, "topic": topic})
        answer = self.http.request("POST", "/webhook", content=body, headers={"Content-Type": "application/json"}, side_effect=True)
        return Subscription.model_validate(answer.json())

    def unsubscribe(self, webhook_id: int) -> None:
        """Removes a registration."""
        self.http.request("DELETE", f"/webhook/{webhook_id}", expect={404}, answer="any")


def token_auth(token: str, scheme: str = "Bearer") -> HeaderKey:
    """The account's token under its scheme; the two schemes are not interchangeable (facts.md §2)."""
    return HeaderKey("Authorization", f"{scheme} {token}")


def _is_last(answer: Response, count: int) -> bool:
    """By the total where the vendor sends it, else an empty page ends the list."""
    total = answer.headers.get("x-total-count", "")
    return count == 0 or (total.isdigit() and int(total) <= count)
