"""SendCloud in Dagster."""

from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.label_defs import cancel_labels, create_labels, label_requests_sensor
from sync_pipelines.vendors.sendcloud.vendor import VENDOR

defs = vendor_definitions(VENDOR, jobs=[create_labels, cancel_labels], sensors=[label_requests_sensor])
