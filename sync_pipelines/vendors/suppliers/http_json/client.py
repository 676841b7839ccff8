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
            found = answer.json()
            if isinstance(found, dict) and isinstance(found.get("items"), list) and "next" in found:
                return Listing(answer.body, f"GET /{feed}?page={page + 1}", is_last=found["next"] is None)
        else:
            answer = self.http.request("GET", feed, answer="any")
            if answer.body.startswith(b"sku;"):
                return Listing(answer.body, f"GET /{feed}", is_last=True)
        raise ContractError(
            f"{self.http.account}: {feed} has not the agreed shape", account=self.http.account, body=answer.body[:2000]
        )
