"""The status page, its JSON and its metrics, over the picture that `sync_pipelines.overview` puts together."""

from sync_pipelines.service.page.access import Access
from sync_pipelines.service.page.pictures import Pictures
from sync_pipelines.service.page.routes import page_routes

__all__ = ["Access", "Pictures", "page_routes"]
