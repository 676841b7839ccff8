"""SendCloud in Dagster."""

from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

defs = vendor_definitions(VENDOR)
