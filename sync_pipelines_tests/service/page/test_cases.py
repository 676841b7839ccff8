"""Thousands of requests that nobody would send by hand: no 5xx, nothing stored, nothing leaked, and answers as documented.

``SYNC_PIPELINES_CASES`` sets how many for each address, well-formed and malformed ones apart; more than 10,000 in all with 1,100.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from starlette.testclient import TestClient

from sync_pipelines.core.db import Database
from sync_pipelines.core.references import Reference
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import Intake
from sync_pipelines.vendors.grand_shooting import webhooks as grand_shooting
from sync_pipelines.vendors.grand_shooting.settings import Settings as GrandShooting
from sync_pipelines.vendors.sendcloud import webhooks as sendcloud
from sync_pipelines.vendors.sendcloud.settings import Settings as SendCloud
from sync_pipelines_tests.overview.history import fill
from sync_pipelines_tests.overview.house import House
from sync_pipelines_tests.service.toy_service import ACCOUNTS, WEBHOOKS

CASES = int(os.environ.get("SYNC_PIPELINES_CASES", "25"))
LIMITS = settings(
    max_examples=CASES,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PRIVATE = (
    "an-invented-key",
    "present-key",
    "private payload",
    "private words",
    "private request",
    "Traceback",
    "psycopg",
    "postgresql://",
    "site-packages",
)

ROUTES = (*WEBHOOKS, *sendcloud.WEBHOOKS, *grand_shooting.WEBHOOKS)
KEY = Reference("an-invented-key-of-an-account")
SHOPS = {
    **ACCOUNTS,
    "sendcloud/main": SendCloud(webhook_keys=[KEY]),
    "grand_shooting/main": GrandShooting(account_id=12, webhook_key=KEY),
}

INTAKE: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "the intake as anybody may call it", "version": "1"},
    "paths": {
        route.path: {
            "post": {
                "parameters": [
                    {
                        "name": "account",
                        "in": "path",
                        "required": True,
                        "schema": {"anyOf": [{"enum": ["main", "keyless"]}, {"type": "string"}]},
                    },
                    {"name": "key", "in": "query", "schema": {"type": "string"}},
                    {"name": "toy-signature", "in": "header", "schema": {"type": "string"}},
                    {"name": "sendcloud-signature", "in": "header", "schema": {"type": "string"}},
                ],
                "requestBody": {"content": {kind: {"schema": {}} for kind in ("application/json", "text/plain")}},
                "responses": {code: {"description": "a line of text"} for code in ("400", "401", "404", "405", "413")},
            }
        }
        for route in ROUTES
    },
}


def stored(url: str) -> list[tuple[Any, ...]]:
    """How many rows there are of everything that a request could leave behind."""
    tables = ("deliveries", "tasks", "dead_letters", "archive", "daily_volumes", "windows")
    with psycopg.connect(url) as connection:
        names = [name for name in tables if connection.execute("select to_regclass(%s)", [f"sync.{name}"]).fetchone() != (None,)]
        assert len(names) >= 5
        return [connection.execute(f"select '{name}', count(*) from sync.{name}".encode()).fetchone() or () for name in names]


def send_cases(page: TestClient, schema: Any, checks: list[Any]) -> int:
    """Sends the cases of every operation; returns how many."""
    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        has_input = bool(operation.definition.raw.get("parameters"))
        for mode in schemathesis.GenerationMode if has_input else [schemathesis.GenerationMode.POSITIVE]:

            @given(case=operation.as_strategy(generation_mode=mode))
            @LIMITS
            def try_out(case: Any) -> None:
                nonlocal count
                count += 1
                arguments = case.as_transport_kwargs(base_url=str(page.base_url).rstrip("/"))
                arguments.pop("cookies", None)
                try:
                    answer = page.request(**{name: value for name, value in arguments.items() if value is not None})
                except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeError):
                    return
                assert answer.status_code < 500
                assert not any(word in answer.text for word in PRIVATE)
                if checks:
                    case.validate_response(answer, checks=checks)

            try_out()
    print(f"{count} cases")
    return count


def test_the_json_interface_answers_any_request_as_documented(open_page: Callable[..., TestClient], house: House) -> None:
    fill(house, days=35, runs_a_day=1)
    house.letter("amazon/north", "amazon/orders", "1")
    page = open_page(house)
    before = stored(house.url)
    assert send_cases(page, schemathesis.openapi.from_dict(page.get("/openapi.json").json()), CHECKS) >= CASES
    assert stored(house.url) == before


def test_the_intake_stores_nothing_that_is_not_genuine(database_url: str) -> None:
    database = Database(database_url, max_connections=4)
    intake = Intake(database, ROUTES, SHOPS.get)
    before = stored(database_url)
    with TestClient(intake.before(create_app(database, parts=[intake.running])), base_url="http://127.0.0.1:8787") as service:
        assert send_cases(service, schemathesis.openapi.from_dict(INTAKE), [not_a_server_error]) >= CASES
    assert stored(database_url) == before
