"""Pictures are kept ready for whoever opens the page, and read anew for whoever follows."""

from __future__ import annotations

from datetime import timedelta

from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.service.app import create_app
from sync_pipelines.service.page import Access, Pictures, page_routes
from sync_pipelines_tests.overview.house import House


def test_the_opened_page_is_kept_ready_and_the_following_one_is_fresh(database_url: str, house: House) -> None:
    database = Database(database_url)
    pictures = Pictures(database, lambda: house.seen, max_age_s=0)
    app = create_app(database, routes=page_routes(pictures, Access()), parts=[pictures.keeping])
    with TestClient(app, base_url="http://127.0.0.1:8787", client=("127.0.0.1", 50_000)) as page:
        page.get("/", headers={"X-Fresh": "yes"})
        failed = house.run("amazon_orders", "FAILURE", ago=timedelta(minutes=1), account="amazon/north", stream="amazon/orders")
        assert failed not in page.get("/").text
        assert failed in page.get("/", headers={"X-Fresh": "yes"}).text
        assert failed in page.get("/").text
        assert pictures.front(is_fresh=False) is pictures.front(is_fresh=False)


def test_without_a_keeper_nothing_is_kept(database: Database, house: House) -> None:
    pictures = Pictures(database, lambda: house.seen, max_age_s=0)
    assert pictures.front(is_fresh=False) is not pictures.front(is_fresh=False)


def test_however_many_look_the_database_is_asked_once(database: Database, house: House) -> None:
    pictures = Pictures(database, lambda: house.seen, clock=lambda: 1.0)
    assert pictures.status() is pictures.status()
