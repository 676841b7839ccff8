"""What most small suppliers' clients have in common: nothing is divided, no orders, one address to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sync_pipelines.core.errors import AuthError
from sync_pipelines.core.http import CallStats, HttpClient
from sync_pipelines.core.vendor import CheckItem
from sync_pipelines.vendors.suppliers.connector import EVERYTHING, Listing, OrderAnswer


class SimpleClient:
    """A `connector.SupplierClient` that only lacks ``read``.

    Args:
        http: The account's transport.
        try_feed: The feed whose first page proves that the credentials work.
    """

    def __init__(self, http: HttpClient, *, try_feed: str) -> None:
        self.http, self._try_feed = http, try_feed

    @property
    def stats(self) -> CallStats:
        """Counts of calls."""
        return self.http.stats

    def scopes(self, feed: str) -> Sequence[str]:
        """Nothing is divided."""
        del feed
        return (EVERYTHING,)

    def read(self, feed: str, scope: str, page: int) -> Listing:
        """One page (0-based) of a feed."""
        raise NotImplementedError

    def order(self, order_id: str | None, reference: str | None) -> OrderAnswer:
        """Nothing is known of orders."""
        del order_id, reference
        return OrderAnswer(None)

    def track(self, order_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Tracking comes with the order, if at all."""
        del order_ids
        return {}

    def check(self) -> list[CheckItem]:
        """Asks for the first page of one feed."""
        try:
            self.read(self._try_feed, EVERYTHING, 0)
        except AuthError as error:
            return [CheckItem("credentials", is_ok=False, detail=str(error))]
        return [CheckItem("credentials", is_ok=True, detail="accepted")]

    def close(self) -> None:
        """Closes connections."""
        self.http.close()
