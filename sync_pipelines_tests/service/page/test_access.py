"""Who sees the page: whoever has the token, and without one this machine only."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from sync_pipelines.config import Environment
from sync_pipelines.core.errors import ConfigError
from sync_pipelines.service.page.access import COOKIE, local_path

TOKEN = "an-invented-token-of-the-tests"
PAGES = ("/", "/queue", "/alerts", "/streams/amazon/orders/north", "/metrics", "/openapi.json")
ROUTES = (*PAGES, "/api/status", "/api/links", "/api/queue", "/api/alerts", "/api/streams/amazon/orders/north/history")
OpenPage = Callable[..., TestClient]


def test_without_a_token_only_this_machine_is_answered(open_page: OpenPage) -> None:
    here, elsewhere = open_page(), open_page(address="192.0.2.7")
    for path in ROUTES:
        assert here.get(path).status_code == 200, path
        refused = elsewhere.get(path)
        assert refused.status_code == 403, path
        assert "SYNC_PIPELINES_TOKEN" in refused.json()["error"]


def test_what_a_proxy_passes_on_is_not_this_machine(open_page: OpenPage) -> None:
    page = open_page()
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert page.get("/", headers={header: "127.0.0.1"}).status_code == 403, header


def test_a_browser_led_here_under_another_name_is_refused(open_page: OpenPage) -> None:
    page = open_page()
    for name in ("rebound.example", "127.0.0.1.rebound.example", "", "[::1", "localhost.example:8787"):
        assert page.get("/openapi.json", headers={"Host": name}).status_code == 403, name
    for name in ("localhost:8787", "127.0.0.1", "[::1]:8787", "127.8.8.8:1"):
        assert page.get("/openapi.json", headers={"Host": name}).status_code == 200, name


def test_with_a_token_even_this_machine_needs_it(open_page: OpenPage) -> None:
    page = open_page(token=TOKEN)
    for path in ROUTES:
        for given in ("", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer é"):
            assert page.get(path, headers={"Authorization": given.encode()}).status_code == 401, (path, given)
        assert page.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200, path


def test_from_elsewhere_the_token_opens(open_page: OpenPage) -> None:
    page = open_page(token=TOKEN, address="192.0.2.7", base_url="https://status.example")
    assert page.get("/api/status", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_browser_is_asked_for_the_token_once_and_led_back(open_page: OpenPage) -> None:
    page = open_page(token=TOKEN)
    asked = page.get("/queue", headers={"Accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/queue")
    assert 'name="token"' in page.get("/login?next=/queue").text
    wrong = page.post("/login", data={"token": "wrong", "next": "/queue"})
    assert (wrong.status_code, COOKIE in page.cookies) == (403, False)
    right = page.post("/login", data={"token": TOKEN, "next": "/queue"})
    assert (right.status_code, right.headers["location"]) == (303, "/queue")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert page.get("/queue").status_code == 200
    page.post("/logout")
    assert page.get("/queue").status_code == 401


def test_over_https_the_cookie_stays_there(open_page: OpenPage) -> None:
    page = open_page(token=TOKEN, base_url="https://status.example")
    assert "Secure" in page.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    proxied = open_page(token=TOKEN).post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in proxied.headers["set-cookie"]


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "evil", "", "/a\r\nb", "///x"])
def test_nobody_is_led_elsewhere(target: str) -> None:
    assert local_path(target) == "/"


def test_a_large_login_is_not_read(open_page: OpenPage) -> None:
    assert open_page(token=TOKEN).post("/login", content=b"token=" + b"x" * 100_000).status_code == 403


def test_health_and_webhooks_need_no_token(open_page: OpenPage) -> None:
    assert open_page(token=TOKEN, address="192.0.2.7").get("/healthz").status_code == 200


def test_browsers_are_told_to_trust_nothing_from_elsewhere(open_page: OpenPage) -> None:
    page = open_page()
    for path in ("/", "/api/status", "/static/page.css"):
        headers = page.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_guessable_token_is_refused_and_none_is_none() -> None:
    assert Environment.read({}).token is None
    assert Environment.read({"SYNC_PIPELINES_TOKEN": TOKEN}).token == TOKEN
    with pytest.raises(ConfigError, match="too short"):
        Environment.read({"SYNC_PIPELINES_TOKEN": "secret"})
    assert TOKEN not in repr(Environment.read({"SYNC_PIPELINES_TOKEN": TOKEN}))
