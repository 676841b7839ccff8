"""What the page shows: everything there is, nothing that is private, and something sensible where there is nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest
from jsonschema.validators import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from sync_pipelines.core.buckets import BucketSpec, Lane
from sync_pipelines.core.budget import Budget
from sync_pipelines.core.db import Database
from sync_pipelines.overview.watched import Watched
from sync_pipelines.service.page import drawing, views
from sync_pipelines_tests.overview.history import fill
from sync_pipelines_tests.overview.house import House
from sync_pipelines_tests.servers import TestServer

OpenPage = Callable[..., TestClient]
ORDERS = ("amazon/north", "amazon/orders")
EVIL = "<script>alert(1)</script>\"'"


def validate(page: TestClient, path: str, template: str | None = None) -> None:
    """The answer is what the OpenAPI document says."""
    document = page.get("/openapi.json").json()
    answer = page.get(path)
    described = document["paths"][template or path]["get"]["responses"][str(answer.status_code)]
    schema = {**described["content"]["application/json"]["schema"], "components": document["components"]}
    jsonschema.validate(answer.json(), schema, Draft202012Validator, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_every_answer_is_what_the_document_says(open_page: OpenPage, house: House) -> None:
    fill(house, days=40)
    page = open_page(house)
    for path in ("/api/status", "/api/links", "/api/queue", "/api/alerts"):
        validate(page, path)
    template = "/api/streams/{vendor}/{stream}/{account}/history"
    for account in ("north", "amazon/north", "amazon%2Fnorth", "south"):
        validate(page, f"/api/streams/amazon/orders/{account}/history?days=40", template)
    validate(page, "/api/streams/amazon/orders/north/history?days=0", template)


def test_the_front_page_shows_every_stream_link_and_fault(open_page: OpenPage, house: House) -> None:
    fill(house, days=40)
    failed = house.run("amazon_orders", "FAILURE", ago=timedelta(), took=0.5, account=ORDERS[0], stream=ORDERS[1])
    html = open_page(house).get("/").text
    for item in house.seen.streams:
        assert f'href="/streams/{item.stream.key}/{item.account}"' in html
    assert f"http://127.0.0.1:3000/runs/{failed}" in html
    assert "the last run failed" in html
    assert "paris" in html
    assert html.count('class="coverage"') == sum(item.stream.is_windowed for item in house.seen.streams)


def test_a_quota_is_told_by_what_is_used_of_its_period(open_page: OpenPage, house: House, database: Database) -> None:
    specs = [BucketSpec.per_minute("requests", 1000), BucketSpec.paced("pace", per_second=4)]
    budget = Budget(database, "sendcloud/main", Lane.LIVE, specs)
    for _ in range(3):
        budget.settle(budget.acquire("requests", "pace"))
    page = open_page(house)
    html = re.sub(r"<[^>]+>|\s+", " ", page.get("/").text)
    assert re.search(r"requests .*3 +used +of 1,000 +per 1 min +all back +in", html)
    assert "4 calls a second" in html
    assert 'sync_quota_used{account="sendcloud/main",bucket="requests"} 3.0' in page.get("/metrics").text


def test_the_age_of_an_accounts_tokens_is_told(open_page: OpenPage, house: House) -> None:
    house.execute(
        "insert into sync.oauth_tokens (account, refreshed_at, refresh_set_at, refresh_expires_at) values"
        " ('gazelle/studio', now() - interval '2 hours', now() - interval '9 days', now() + interval '21 days')"
    )
    page = open_page(house)
    told = re.sub(r"<[^>]+>|\s+", " ", page.get("/").text)
    assert re.search(r"token +renewed +2 h ago +refresh token of +9 d ago +, ends +in 2[01] d", told)
    assert 'sync_token_refused{account="gazelle/studio"} 0.0' in page.get("/metrics").text
    house.execute("update sync.oauth_tokens set refused_at = now(), refusal = 'invalid_grant'")
    assert "renewal refused" in open_page(house).get("/").text


def test_without_any_data_every_page_is_there(open_page: OpenPage) -> None:
    page = open_page()
    for path in ("/", "/queue", "/alerts", "/streams/suppliers/stock/bigbuy/main", "/metrics"):
        answer = page.get(path)
        assert answer.status_code == 200, path
        assert "None" not in answer.text
        assert "NaN" not in answer.text


def test_without_accounts_the_page_says_what_to_do(open_page: OpenPage, house: House) -> None:
    house.seen = Watched()
    house.heartbeat()
    page = open_page(house)
    assert "No accounts are configured yet" in page.get("/").text
    assert page.get("/api/status").json()["health"] == "new"


def test_words_from_outside_are_escaped(open_page: OpenPage, house: House) -> None:
    house.letter(EVIL, EVIL, "1", cause=EVIL)
    house.volume(EVIL, EVIL, complete=1)
    house.run(EVIL, "FAILURE", ago=timedelta(minutes=1), run_id=EVIL, account=EVIL)
    house.execute(
        "insert into grand_shooting.links (link, main, secondary, is_followed, configuration, failures, trouble)"
        " values ('paris', 'a', 'b', true, '', 1, %s)",
        [EVIL],
    )
    house.seen = replace(house.seen, dagster_url='https://dagster.example/"><script>alert(2)</script>')
    page = open_page(house)
    for path in ("/", "/queue", "/alerts", "/streams/amazon/orders/north"):
        html = page.get(path).text
        assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in page.get("/").text


def test_what_is_in_a_letter_is_shown_nowhere(open_page: OpenPage, house: House) -> None:
    house.letter(*ORDERS, "private-key-of-a-record")
    page = open_page(house)
    for path in ("/", "/queue", "/api/status", "/api/queue", "/metrics"):
        assert "private" not in page.get(path).text


def test_nothing_comes_from_elsewhere(open_page: OpenPage, house: House) -> None:
    page = open_page(house)
    html = page.get("/").text
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', html):
        assert page.get(address).status_code == 200
    assert set(re.findall(r'(?:src|href)="(https?://[^"]+)"', html)) == {"http://127.0.0.1:3000"}
    assert not re.search(r"<script(?![^>]*(src=|application/json))", html)
    assert not re.search(r"\sstyle=|\son[a-z]+=", html)


def test_an_unknown_stream_and_an_unknown_page_are_not_found(open_page: OpenPage) -> None:
    page = open_page()
    assert page.get("/streams/amazon/orders/nobody").status_code == 404
    assert page.get("/api/streams/amazon/orders/%00/history").status_code == 404
    assert page.get("/nowhere").status_code == 404
    assert page.post("/api/status").status_code == 405
    assert page.get("/static/../access.py").status_code == 404


def test_a_wrong_number_of_days_is_refused(open_page: OpenPage) -> None:
    page = open_page()
    for days in ("0", "367", "-1", "x", "1.5", "", "٣", "9" * 400):
        assert page.get("/api/streams/amazon/orders/north/history", params={"days": days}).status_code == 400, days


def test_without_the_database_the_page_says_so(open_page: OpenPage, postgres_server: TestServer) -> None:
    page = open_page()
    postgres_server.stop()
    html, data, metrics = page.get("/"), page.get("/api/status"), page.get("/metrics")
    postgres_server.start()
    assert (html.status_code, data.status_code, metrics.status_code) == (503, 503, 503)
    assert "does not answer" in html.text
    assert data.json() == {"error": "the database does not answer"}
    assert page.get("/").status_code == 200


def test_the_metrics_can_be_scraped_and_agree_with_the_status(open_page: OpenPage, house: House) -> None:
    fill(house, days=10)
    page = open_page(house)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.get("/metrics").text)
        for sample in family.samples
    }
    status = page.get("/api/status").json()
    for item in status["streams"]:
        labels = (("account", item["account"]), ("stream", item["stream"]))
        assert samples["sync_stream_dead_letters_open", *labels] == item["open_letters"]
        assert samples["sync_stream_rows_today", *labels] == item["days"][-1]["rows"]
        assert samples["sync_stream_health", labels[0], ("health", item["health"]), labels[1]] == 1
    assert samples["sync_link_waiting", ("link", "paris")] == 0


def test_chart_data_is_plain_json(open_page: OpenPage, house: House) -> None:
    fill(house, days=40)
    found = re.search(r'id="chart-data">(.*?)</script>', open_page(house).get("/").text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert {len(values) for values in data.values()} == {30}
    assert sum(data["failed"]) > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "0 s"), (0.4, "0.4 s"), (59, "59 s"), (61, "1 min"), (3_600, "1 h"), (9_000, "2 h 30 min")],
)
def test_durations_read_like_words(seconds: float | None, words: str) -> None:
    assert views.span(seconds) == words


@pytest.mark.parametrize(("value", "words"), [(0, "0"), (9_999, "9,999"), (10_000, "10 k"), (1_234_567, "1.23 M"), (None, "–")])
def test_large_numbers_are_short(value: float | None, words: str) -> None:
    assert views.number(value) == words


def test_a_day_without_rows_has_no_bar() -> None:
    assert 'class="rows" d=""' in drawing.bars([0, 0, 0], label="nothing")
