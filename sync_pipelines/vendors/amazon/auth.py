"""Who we are to Amazon: Login with Amazon access tokens, and restricted data tokens for personal data in v0 (facts §2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import httpx

from sync_pipelines.core.db import Database
from sync_pipelines.core.oauth import OAuthRefresh, ask_token_endpoint, parse_rfc6749
from sync_pipelines.core.secrets import Secrets

TOKEN_HEADER = "x-amz-access-token"  # noqa: S105 - a header's name


class LoginWithAmazon(OAuthRefresh):
    """Access tokens of one seller. Amazon answers an expired token with 403, not 401, so that is what a second try follows."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`: a 403 is answered by one refresh and one repetition."""
        token = self.token()
        request.headers[TOKEN_HEADER] = token
        response = yield request
        if response.status_code == httpx.codes.FORBIDDEN:
            request.headers[TOKEN_HEADER] = self.token(refused=token)
            yield request


def login_with_amazon(
    *,
    account: str,
    database: Database,
    secrets: Secrets,
    auth_url: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    transport: httpx.BaseTransport | None = None,
) -> LoginWithAmazon:
    """The auth flow of one account; its access token is shared by all processes."""

    def build_request(current: str | None) -> httpx.Request:
        return _refresh_request(auth_url, client_id, client_secret, current or refresh_token)

    return LoginWithAmazon(
        account=account,
        database=database,
        secrets=secrets,
        refresh_token=refresh_token,
        build_request=build_request,
        transport=transport,
    )


def try_refresh_token(
    *,
    account: str,
    auth_url: str,
    client_id: str,
    client_secret: str,
    refresh_token: str,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Asks once for an access token, which is thrown away.

    Raises:
        RefreshRefused: Amazon refuses the token, or the application.
    """
    request = _refresh_request(auth_url, client_id, client_secret, refresh_token)
    ask_token_endpoint(request, account=account, parse=parse_rfc6749, transport=transport)


def _refresh_request(auth_url: str, client_id: str, client_secret: str, refresh_token: str) -> httpx.Request:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    return httpx.Request("POST", auth_url, data=form)


class RestrictedToken(httpx.Auth):
    """Puts a restricted data token on each request, and another one, once, after a 403.

    Args:
        fetch: Asks Amazon for a token; answers it with its life in seconds.
        monotonic: Seconds.
    """

    _MARGIN_S = 300.0

    def __init__(self, fetch: Callable[[], tuple[str, float]], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._monotonic = fetch, monotonic
        self._lock = threading.Lock()
        self._token, self._until = "", float("-inf")

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`."""
        token = self._current(refused=None)
        request.headers[TOKEN_HEADER] = token
        response = yield request
        if response.status_code == httpx.codes.FORBIDDEN:
            request.headers[TOKEN_HEADER] = self._current(refused=token)
            yield request

    def _current(self, *, refused: str | None) -> str:
        with self._lock:
            if self._token == (refused or "") or self._monotonic() >= self._until:
                self._token, life_s = self._fetch()
                self._until = self._monotonic() + life_s - self._MARGIN_S
            return self._token
