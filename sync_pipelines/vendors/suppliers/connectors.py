"""Every supplier we have a connector for. A new one is added to this list, and nowhere else."""

from __future__ import annotations

from sync_pipelines.vendors.suppliers.aliexpress.connector import CONNECTOR as ALIEXPRESS
from sync_pipelines.vendors.suppliers.bigbuy.connector import CONNECTOR as BIGBUY
from sync_pipelines.vendors.suppliers.connector import Connector
from sync_pipelines.vendors.suppliers.http_json.connector import CONNECTOR as HTTP_JSON

CONNECTORS: dict[str, Connector] = {connector.name: connector for connector in (BIGBUY, ALIEXPRESS, HTTP_JSON)}
