"""Three addresses: ``products.json?page=1``, ``stock.csv`` and ``prices.csv``, each with a key in a header."""

from __future__ import annotations

from sync_pipelines.core.errors import ContractError
from sync_pipelines.vendors.suppliers.connector import Listing
from sync_pipelines.vendors.suppliers.simple import SimpleClient


class HttpJsonClient(SimpleClient):
    """One account's view of the supplier."""

    def read(self, feed: str, scope: str, page: int) -> Listing:
        """A page of products, or a whole file."""
        del scope
        if feed == "products.json":
            answer = self.http.request("GET", feed, params={"page": page + 1})
            return Listing(answer.body, f"GET /{feed}?page={page + 1}", is_last=answer.json()["next"] is None)
        answer = self.http.request("GET", feed, answer="any")
        if not answer.body.startswith(b"sku;"):
            raise ContractError(
                f"{self.http.account}: {feed} has no header line", account=self.http.account, body=answer.body[:2000]
            )
        return Listing(answer.body, f"GET /{feed}", is_last=True)
