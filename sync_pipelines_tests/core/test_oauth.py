"""Access tokens: refreshed once by whoever comes first, stored before used, and never hammered for."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import httpx
import pytest

from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, ConfigError, ContractError, TransientError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.oauth import OAuthRefresh, RefreshRefused, form_request, read_token_ages
from sync_pipelines.core.secrets import MasterKeys, Secrets

ACCOUNT = "toy/main"
MASTER = MasterKeys.new()
TOKEN_URL = "https://auth.example/token"


class TokenVendor:
    """Grants ``access-1``, ``access-2``, …; rotates its refresh token each time if asked to, as strictly as can be."""

    def __init__(self, *, rotates: bool = False, life: int = 3600) -> None:
        self.rotates, self.life = rotates, life
        self.granted = 0
        self.good_refresh = "refresh-0"
        self.requests: list[dict[str, list[str]]] = []
        self.next: list[httpx.Response | Exception] = []
        self.before: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.before()
            fields = parse_qs(request.content.decode())
            self.requests.append(fields)
            if self.next:
                planned = self.next.pop(0)
                if isinstance(planned, Exception):
                    raise planned
                return planned
            if fields.get("refresh_token", [None]) != [self.good_refresh]:
                return httpx.Response(400, json={"error": "invalid_grant", "error_description": "invented"})
            self.granted += 1
            answer = {"access_token": f"access-{self.granted}", "expires_in": self.life, "token_type": "bearer"}
            if self.rotates:
                self.good_refresh = answer["refresh_token"] = f"refresh-{self.granted}"
            return httpx.Response(200, json=answer)


@pytest.fixture
def vendor():
    return TokenVendor()


@pytest.fixture
def oauth(database, vendor) -> Callable[..., OAuthRefresh]:
    """Each call makes what another process would have: nothing shared but the database."""

    def make(refresh_token: str | None = "refresh-0", *, account: str = ACCOUNT, **options) -> OAuthRefresh:
        return OAuthRefresh(
            account=account,
            database=database,
            secrets=Secrets(database, MasterKeys.parse(MASTER)),
            refresh_token=refresh_token,
            build_request=form_request(TOKEN_URL, {"client_id": "invented", "client_secret": "hush"}),
            transport=httpx.MockTransport(vendor.answer),
            sleep=lambda _: None,
            **options,
        )

    return make


def expire(database: Database, seconds: float = 0) -> None:
    with database.connect() as connection:
        connection.execute(
            """
            update sync.oauth_tokens set access_expires_at = clock_timestamp() + make_interval(secs => %(left)s),
                refreshed_at = clock_timestamp() + make_interval(secs => %(left)s - 3600)
            """,
            {"left": seconds},
        )


def test_a_token_is_fetched_once_and_shared_by_all_processes(oauth, vendor):
    first = oauth()
    assert [first.token(), first.token(), oauth().token()] == ["access-1"] * 3
    assert vendor.requests == [
        {"client_id": ["invented"], "client_secret": ["hush"], "grant_type": ["refresh_token"], "refresh_token": ["refresh-0"]}
    ]


def test_many_at_once_refresh_once(oauth, vendor):
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda one: one.token(), [oauth() for _ in range(8)]))
    assert (set(tokens), vendor.granted) == ({"access-1"}, 1)


def test_a_token_near_its_end_is_replaced(oauth, vendor, database):
    oauth(margin_s=300).token()
    expire(database, 299)
    assert oauth(margin_s=300).token() == "access-2"


def test_a_token_held_in_memory_ends_by_the_margin_too(oauth):
    time = [0.0]
    one = oauth(margin_s=300, monotonic=lambda: time[0])
    assert one.token() == "access-1"
    time[0] = 3301
    assert one.token(refused="access-1") == "access-2"


def test_a_life_shorter_than_the_margin_is_used_by_half(oauth, vendor):
    vendor.life = 60
    assert (oauth().token(), oauth().token()) == ("access-1", "access-1")


def test_a_rotated_refresh_token_is_committed_before_the_access_token_is_used(oauth, vendor, database):
    vendor.rotates = True
    secrets = Secrets(database, MasterKeys.parse(MASTER))
    used = []

    def api(request: httpx.Request) -> httpx.Response:
        used.append((request.headers["authorization"], secrets.get("oauth/refresh_token", ACCOUNT)))
        return httpx.Response(200, json={})

    HttpClient(account=ACCOUNT, base_url="https://toy.example", auth=oauth(), transport=httpx.MockTransport(api)).request(
        "GET", "/a"
    )
    assert used == [("Bearer access-1", b"refresh-1")]
    expire(database)
    assert oauth().token() == "access-2"
    assert vendor.requests[-1]["refresh_token"] == ["refresh-1"]


def test_an_answer_without_a_refresh_token_keeps_the_old_one(oauth, vendor, database):
    vendor.rotates = True
    oauth().token()
    vendor.rotates = False
    for expected in ("access-2", "access-3"):
        expire(database)
        assert oauth().token() == expected
    assert vendor.requests[-1]["refresh_token"] == ["refresh-1"]


def test_a_401_is_answered_by_one_new_token_and_one_repetition(oauth, vendor):
    seen = []

    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200 if seen[-1] == "Bearer access-2" else 401, json={})

    client = HttpClient(account=ACCOUNT, base_url="https://toy.example", auth=oauth(), transport=httpx.MockTransport(api))
    assert client.request("GET", "/a").status == 200
    assert client.request("GET", "/a").status == 200
    assert seen == ["Bearer access-1", "Bearer access-2", "Bearer access-2"]


def test_a_lasting_401_stops_the_account(oauth, vendor):
    api = httpx.MockTransport(lambda _: httpx.Response(401, json={}))
    with pytest.raises(AuthError):
        HttpClient(account=ACCOUNT, base_url="https://toy.example", auth=oauth(), transport=api).request("GET", "/a")
    assert vendor.granted == 2


def test_a_token_refused_to_several_is_refreshed_once(oauth, vendor):
    holders = [oauth() for _ in range(4)]
    assert {one.token() for one in holders} == {"access-1"}
    assert {one.token(refused="access-1") for one in holders} == {"access-2"}
    assert vendor.granted == 2


def test_a_revoked_refresh_token_stops_the_account_and_is_not_hammered(oauth, vendor):
    vendor.good_refresh = "another"
    for _ in range(3):
        with pytest.raises(
            RefreshRefused, match=r"toy/main: the vendor refuses to renew the access token \(invalid_grant\)"
        ) as caught:
            oauth().token()
        assert caught.value.code == "invalid_grant"
        assert "hush" not in str(caught.value)
    assert len(vendor.requests) == 1
    assert oauth(account="toy/other", refresh_token="another").token() == "access-1"


def test_newly_configured_credentials_are_tried_at_once(oauth, vendor, database):
    vendor.rotates = True
    oauth().token()
    vendor.good_refresh = "refresh-9"
    expire(database)
    with pytest.raises(RefreshRefused):
        oauth().token()
    assert oauth("refresh-9").token() == "access-2"
    (ages,) = read_token_ages(database)
    assert (ages.refused_at, ages.refusal) == (None, None)


@pytest.mark.parametrize(
    "failure",
    [httpx.Response(503, text="<html>"), httpx.ReadTimeout("slow"), httpx.Response(200, text="<html>"), httpx.Response(429)],
    ids=repr,
)
def test_a_passing_failure_of_the_token_endpoint_is_tried_again(oauth, vendor, failure):
    vendor.next = [failure]
    assert oauth().token() == "access-1"
    vendor.next = [failure] * 3
    with pytest.raises(TransientError):
        oauth(account="toy/other").token()


def test_a_grant_without_a_token_breaks_the_contract(oauth, vendor):
    vendor.next = [httpx.Response(200, json={"token_type": "bearer"})]
    with pytest.raises(ContractError):
        oauth().token()


def test_client_credentials_need_no_refresh_token(database):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((parse_qs(request.content.decode()), request.headers.get("authorization", "")[:6]))
        return httpx.Response(200, json={"access_token": "a", "expires_in": 60})

    OAuthRefresh(
        account=ACCOUNT,
        database=database,
        secrets=Secrets(database, MasterKeys.parse(MASTER)),
        refresh_token=None,
        build_request=form_request(TOKEN_URL, {"grant_type": "client_credentials"}, basic=("invented", "hush")),
        transport=httpx.MockTransport(answer),
    ).token()
    assert asked == [({"grant_type": ["client_credentials"]}, "Basic ")]


def test_without_a_master_key_there_is_nowhere_to_keep_tokens(database):
    with pytest.raises(ConfigError, match="secrets new-key"):
        OAuthRefresh(account=ACCOUNT, database=database, secrets=None, refresh_token="r", build_request=form_request(TOKEN_URL, {}))


def test_the_status_shows_ages_and_no_token(oauth, database, vendor):
    one = oauth()
    one.token()
    (ages,) = read_token_ages(database)
    assert ages.account == ACCOUNT
    assert (ages.access_expires_at - ages.refreshed_at).total_seconds() == pytest.approx(3600, abs=1)
    shown = repr(one) + repr(ages)
    assert not any(word in shown for word in ("access-", "refresh-0", "hush"))


# -- a process that dies in the middle ----------------------------------------------------------------------------------------


def refresh_and_hang(url: str, asked) -> None:
    """Holds the row lock while the vendor thinks, for ever."""

    def answer(_: httpx.Request) -> httpx.Response:
        asked.set()
        threading.Event().wait()
        raise AssertionError

    with Database(url) as database:
        OAuthRefresh(
            account=ACCOUNT,
            database=database,
            secrets=Secrets(database, MasterKeys.parse(MASTER)),
            refresh_token="refresh-0",
            build_request=form_request(TOKEN_URL, {}),
            transport=httpx.MockTransport(answer),
        ).token()


def test_a_process_killed_while_it_refreshes_frees_the_lock(oauth, database_url, vendor):
    spawn = multiprocessing.get_context("spawn")
    asked = spawn.Event()
    victim = spawn.Process(target=refresh_and_hang, args=(database_url, asked))
    victim.start()
    assert asked.wait(30)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(oauth().token)
        os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        assert waiting.result(timeout=30) == "access-1"


def test_tokens_are_sealed_at_rest(oauth, vendor, database):
    vendor.rotates = True
    oauth().token()
    with database.connect() as connection:
        dump = json.dumps(
            connection.execute("select s::text from sync.secrets s union all select t::text from sync.oauth_tokens t").fetchall()
        )
    assert b"access-1".hex() not in dump
    assert b"refresh-1".hex() not in dump
    assert "refresh-0" not in dump
