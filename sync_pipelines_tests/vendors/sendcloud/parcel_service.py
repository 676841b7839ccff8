"""SendCloud's webhooks served as in production: ``python -m …parcel_service <database URL> <port>``."""

import sys

from sync_pipelines.core.db import Database
from sync_pipelines.service.serving import serve
from sync_pipelines.vendors.sendcloud import webhooks
from sync_pipelines.vendors.sendcloud.settings import Settings
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT

KEYS = ["sandbox-webhook-key", "sandbox-webhook-key-2"]

if __name__ == "__main__":
    settings = {ACCOUNT: Settings(webhook_keys=KEYS)}
    database = Database(sys.argv[1], application_name="parcel service", max_connections=8)
    serve(database, webhooks.WEBHOOKS, settings.get, host="127.0.0.1", port=int(sys.argv[2]))
