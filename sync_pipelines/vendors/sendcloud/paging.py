"""SendCloud's lists, page by page: V3 says where to go on in ``Link``, V2 in ``next`` (facts §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.http import Response
from sync_pipelines.vendors.sendcloud.addresses import cursor_of, next_cursor

_PAGE_ATTEMPTS = 3


@dataclass(frozen=True)
class ListPage:
    """One page of a list.

    Attributes:
        body: As received.
        request: What was asked, without secrets, for the archive.
        cursor: Where the next page begins; ``None`` on the last one.
        count: Records on the page.
    """

    body: bytes
    request: str
    cursor: str | None
    count: int


class _V3Page(msgspec.Struct):
    data: list[msgspec.Raw]


class _V2Page(msgspec.Struct):
    next: str | int | None = None
    parcels: list[msgspec.Raw] | None = None
    results: list[msgspec.Raw] | None = None


def breach(account: str, what: str, response: Response) -> ContractError:
    """An answer that the vendor's contract does not allow, with its beginning for the dead letter."""
    return ContractError(f"{account}: {what}", account=account, status=response.status, body=response.body[:65_536])


class Lists:
    """Walks lists of one account.

    Args:
        account: ``vendor/name``, for messages.
        get: Asks for a path with a query.
    """

    def __init__(self, account: str, get: Callable[[str, list[tuple[str, str]]], Response]) -> None:
        self._account, self._get = account, get

    def v3(self, path: str, params: list[tuple[str, str]], cursor: str | None) -> Iterator[ListPage]:
        """A V3 list from a cursor on, or from its beginning."""

        def read(response: Response) -> tuple[int, str | None]:
            return len(msgspec.json.decode(response.body, type=_V3Page).data), next_cursor(response.headers.get("link", ""))

        return self._pages(path, params, cursor, read)

    def v2(self, path: str, params: list[tuple[str, str]], cursor: str | None) -> Iterator[ListPage]:
        """The same of a V2 list."""

        def read(response: Response) -> tuple[int, str | None]:
            page = msgspec.json.decode(response.body, type=_V2Page)
            records = page.parcels if page.parcels is not None else page.results
            if records is None:
                raise msgspec.ValidationError("neither parcels nor results")
            return len(records), cursor_of(page.next) if isinstance(page.next, str) else None

        return self._pages(path, params, cursor, read)

    def _pages(
        self, path: str, params: list[tuple[str, str]], cursor: str | None, read: Callable[[Response], tuple[int, str | None]]
    ) -> Iterator[ListPage]:
        """Walks a list. A cursor that comes twice is a loop and an error; a page of the wrong shape is asked for again first."""
        seen: set[str] = set()
        while True:
            page = self._page(path, params if cursor is None else [*params, ("cursor", cursor)], read)
            yield page
            if page.cursor is None:
                return
            if page.cursor in seen or page.cursor == cursor:
                raise ContractError(f"{self._account}: GET {path} leads back to a page already read", account=self._account)
            seen.add(page.cursor)
            cursor = page.cursor

    def _page(self, path: str, params: list[tuple[str, str]], read: Callable[[Response], tuple[int, str | None]]) -> ListPage:
        request = f"GET /{path}?{urlencode(params)}" if params else f"GET /{path}"
        for attempt in range(1, _PAGE_ATTEMPTS + 1):
            response = self._get(path, params)
            try:
                count, following = read(response)
            except msgspec.ValidationError as error:
                if attempt == _PAGE_ATTEMPTS:
                    raise breach(self._account, f"GET {path} answers with something that is not a list page", response) from error
            else:
                return ListPage(response.body, request, following, count)
        raise AssertionError("unreachable")
