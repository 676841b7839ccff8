"""AliExpress' tokens: a refresh returns a new pair, the end of the refresh token never moves (``apis/aliexpress/facts.md`` 4)."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from sync_pipelines.core.answers import Response
from sync_pipelines.core.errors import AuthError, ContractError, TransientError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.oauth import OAuthRefresh, RefreshRefused, TokenAnswer
from sync_pipelines.core.vendor import AccountContext
from sync_pipelines.vendors.suppliers.aliexpress.client import Tokens
from sync_pipelines.vendors.suppliers.aliexpress.signing import signed

REFRESH_PATH = "/auth/token/refresh"


class GivenToken:
    """The configured access token, where no master key allows a rotated one to be kept."""

    def __init__(self, account: str, token: str) -> None:
        self._account, self._token = account, token

    def token(self, *, refused: str | None = None) -> str:
        """The token; AuthError once it was refused."""
        if refused == self._token:
            raise AuthError(
                f"{self._account}: the access token has expired; set SYNC_PIPELINES_MASTER_KEY so that a refreshed one can be kept",
                account=self._account,
            )
        return self._token


def tokens_of(context: AccountContext, *, now_s: Callable[[], float] = time.time) -> Tokens:
    """The account's tokens, refreshed once for all processes half an hour ahead of their end."""
    given = context.credentials
    if context.secrets is None:
        return GivenToken(context.id, given["access_token"])
    url = f"{context.base_url.rstrip('/')}/rest{REFRESH_PATH}"

    def build(refresh_token: str | None) -> httpx.Request:
        parameters = {
            "app_key": given["app_key"],
            "refresh_token": refresh_token or "",
            "timestamp": str(int(now_s() * 1000)),
        }
        return httpx.Request("POST", url, data=signed(parameters, given["app_secret"], path=REFRESH_PATH))

    return OAuthRefresh(
        account=context.id,
        database=context.database,
        secrets=context.secrets,
        refresh_token=given["refresh_token"],
        build_request=build,
        parse=lambda response: parse(response, context.id),
        margin_s=1800,
    )


def parse(response: Response, account: str) -> TokenAnswer:
    """Reads the flat answer of ``/rest``, whose errors come as HTTP 200.

    Raises:
        RefreshRefused: The refresh token is used, unknown or at its end.
        TransientError: No JSON, or the service is unavailable.
        ContractError: No access token with a life.
    """
    try:
        answer = decode_json(response.body)
    except ContractError as error:
        raise TransientError(f"{account}: the token answer is not JSON", account=account) from error
    code = str(answer.get("code", "0")) if isinstance(answer, dict) else ""
    if code in {"ServiceUnavailable", "InternalError", "ApiCallLimit"}:
        raise TransientError(f"{account}: the token endpoint answers {code}", account=account)
    if code != "0":
        raise RefreshRefused(account, code)
    if not answer.get("access_token") or not answer.get("expires_in"):
        raise ContractError(f"{account}: the token answer grants no access token with a life", account=account)
    left = answer.get("refresh_expires_in")
    return TokenAnswer(
        access_token=str(answer["access_token"]),
        expires_in_s=float(answer["expires_in"]),
        refresh_token=answer.get("refresh_token") or None,
        refresh_expires_in_s=float(left) if left else None,
    )
