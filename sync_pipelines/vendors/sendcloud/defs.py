"""SendCloud in Dagster."""

from sync_pipelines.orchestration.vendors import vendor_definitions
from sync_pipelines.vendors.sendcloud.catalogue.defs import JOBS, SCHEDULES
from sync_pipelines.vendors.sendcloud.label_defs import cancel_labels, create_labels, label_requests_sensor
from sync_pipelines.vendors.sendcloud.setup_defs import sendcloud_initial_setup
from sync_pipelines.vendors.sendcloud.vendor import VENDOR
from sync_pipelines.vendors.sendcloud.webhook_defs import sendcloud_webhooks_sensor, store_sendcloud_webhooks

defs = vendor_definitions(
    VENDOR,
    jobs=[create_labels, cancel_labels, store_sendcloud_webhooks, *JOBS, sendcloud_initial_setup],
    schedules=SCHEDULES,
    sensors=[label_requests_sensor, sendcloud_webhooks_sensor],
)
