"""OAuth access tokens, refreshed once for all processes and stored before they are used.

``sync.oauth_tokens`` has one row per account; whoever refreshes holds its row lock, the others wait and then find the new token. A
rotated refresh token is committed before anybody uses the access token that came with it. The tokens themselves are in
``sync.secrets``; the row shows only their ages. Postgres' clock is the clock.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import httpx
import psycopg
from psycopg.rows import class_row
from sqlalchemy import Column, LargeBinary, Table, Text

from sync_pipelines.core.answers import KEPT_BODY, Response
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import AuthError, ConfigError, ContractError, TransientError
from sync_pipelines.core.jsons import decode_json
from sync_pipelines.core.secrets import MASTER_KEY_VARIABLE, Secrets
from sync_pipelines.core.tables import SYNC_SCHEMA, instant, metadata

log = logging.getLogger("sync_pipelines.oauth")

ACCESS_TOKEN = "oauth/access_token"  # noqa: S105 - the name of a secret, not its value
REFRESH_TOKEN = "oauth/refresh_token"  # noqa: S105
REFUSAL_LASTS_S = 60.0
"""For so long a refused refresh is not tried again with the same credentials, by any process."""

oauth_tokens = Table(
    "oauth_tokens",
    metadata,
    Column("account", Text, primary_key=True, comment="vendor/name"),
    Column("seed", LargeBinary, comment="Digest of the configured credentials the tokens come from"),
    instant("refreshed_at", comment="When the access token was obtained"),
    instant("access_expires_at", comment="When the access token ends"),
    instant("refresh_set_at", comment="When the refresh token was configured or last rotated"),
    instant("refresh_expires_at", comment="When the refresh token ends, if the vendor says"),
    instant("refused_at", comment="When the vendor last refused to refresh"),
    Column("refusal", Text, comment="The OAuth error code of that refusal"),
    schema=SYNC_SCHEMA,
    comment="Ages of every account's OAuth tokens; the tokens are in sync.secrets",
)


class RefreshRefused(AuthError):
    """The token endpoint refuses the credentials. ``code`` is its error code (``invalid_grant``)."""

    def __init__(self, account: str, code: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(
            f"{account}: the vendor refuses to renew the access token ({code or 'no reason given'}); authorize the account "
            "again and put the new credentials into its configuration",
            account=account,
            status=status,
            body=body,
        )
        self.code = code


@dataclass(frozen=True)
class TokenAnswer:
    """What a token endpoint granted.

    Attributes:
        access_token: For the calls.
        expires_in_s: Its life in seconds.
        refresh_token: A rotated refresh token; ``None`` keeps the old one.
        refresh_expires_in_s: Its remaining life in seconds, if the vendor says.
    """

    access_token: str = field(repr=False)
    expires_in_s: float
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_in_s: float | None = None


@dataclass(frozen=True)
class TokenAges:
    """One account's tokens for the status. Instants are aware UTC; ``None`` where unknown."""

    account: str
    refreshed_at: datetime | None
    access_expires_at: datetime | None
    refresh_set_at: datetime | None
    refresh_expires_at: datetime | None
    refused_at: datetime | None
    refusal: str | None


@dataclass(frozen=True)
class _Stored:
    seed: bytes | None
    refusal: str | None
    access_left_s: float | None
    access_life_s: float | None
    refused_ago_s: float | None


@dataclass(frozen=True)
class _Held:
    """An access token in memory and until when (`time.monotonic`) it is good."""

    token: str = field(repr=False)
    until: float


BuildRequest = Callable[[str | None], httpx.Request]
"""Makes the refresh request from the current refresh token (``None`` for client credentials)."""

ParseAnswer = Callable[[Response], TokenAnswer]
"""Reads a 2xx of the token endpoint; raises `RefreshRefused` if it carries a refusal, `ContractError` if it is not understood."""


class OAuthRefresh(httpx.Auth):
    """An httpx auth flow that puts a fresh access token on each request, and another one, once, after a 401.

    Args:
        account: ``vendor/name``.
        database: For the row lock and the ages.
        secrets: Where the tokens are kept; ``None`` (no master key) is refused.
        refresh_token: The configured one; used until the vendor rotates it, and again when it is configured anew.
            ``None`` for client credentials.
        build_request: The refresh request; see `form_request`.
        parse: Reads the answer.
        apply: Puts the token on a request; default ``Authorization: Bearer``.
        margin_s: The token is refreshed so long before it ends.
        timeout_s: For the token request.
        attempts: How often a transient failure of the token endpoint is tried.
        transport: Replaces the network in tests.
        sleep: Waits so many seconds.
        monotonic: Seconds.

    Raises:
        ConfigError: There is no master key to keep tokens with.
    """

    def __init__(
        self,
        *,
        account: str,
        database: Database,
        secrets: Secrets | None,
        refresh_token: str | None,
        build_request: BuildRequest,
        parse: ParseAnswer | None = None,
        apply: Callable[[httpx.Request, str], None] | None = None,
        margin_s: float = 300,
        timeout_s: float = 20,
        attempts: int = 3,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if secrets is None:
            raise ConfigError(
                f"{account}: its tokens can not be kept without {MASTER_KEY_VARIABLE}; `sync-pipelines secrets new-key` prints one",
                account=account,
            )
        self.account = account
        self._database, self._secrets, self._configured = database, secrets, refresh_token
        self._build_request, self._parse, self._apply = build_request, parse or parse_rfc6749, apply or bearer
        self._margin_s, self._timeout_s, self._attempts = margin_s, timeout_s, attempts
        self._transport, self._sleep, self._monotonic = transport, sleep, monotonic
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def __repr__(self) -> str:
        return f"OAuthRefresh({self.account!r})"

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`: a 401 is answered by one refresh and one repetition."""
        token = self.token()
        self._apply(request, token)
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._apply(request, self.token(refused=token))
            yield request

    def token(self, *, refused: str | None = None) -> str:
        """A good access token; refreshes if need be.

        Args:
            refused: A token the vendor has just refused: one that differs is returned.

        Raises:
            AuthError: The vendor refuses to refresh; a person must authorize the account again.
            TransientError: The token endpoint does not answer properly.
        """
        with self._lock:
            held = self._held
            if held is not None and held.token != refused and self._monotonic() < held.until:
                return held.token
            failures = 0
            while True:
                try:
                    self._held = self._obtain(refused)
                except TransientError:
                    failures += 1
                    if failures >= self._attempts:
                        raise
                    self._sleep(2.0 ** (failures - 1))
                else:
                    return self._held.token

    def _obtain(self, refused: str | None) -> _Held:
        """Finds the token another process fetched, or fetches one, all under the row lock."""
        with self._database.transaction() as connection:
            connection.execute("insert into sync.oauth_tokens (account) values (%s) on conflict do nothing", (self.account,))
            stored = connection.cursor(row_factory=class_row(_Stored)).execute(_LOCK, (self.account,)).fetchone()
            if stored is None:
                raise TransientError(f"{self.account}: its token row vanished", account=self.account)
            is_same_seed = stored.seed == self._seed()
            if is_same_seed:
                cached = self._cached(connection, stored, refused)
                if cached is not None:
                    return cached
                if stored.refused_ago_s is not None and stored.refused_ago_s < REFUSAL_LASTS_S:
                    raise RefreshRefused(self.account, stored.refusal or "")
            else:
                connection.execute(_FORGET, (self.account, [ACCESS_TOKEN, REFRESH_TOKEN]))
            rotated = self._secrets.read(connection, REFRESH_TOKEN, self.account)
            refresh_token = rotated.decode() if rotated else self._configured
            try:
                return self._refresh(connection, refresh_token, is_same_seed=is_same_seed)
            except RefreshRefused as error:
                refusal = error
            connection.execute(_REFUSED, (self._seed(), refusal.code, self.account))
        raise refusal

    def _cached(self, connection: psycopg.Connection, stored: _Stored, refused: str | None) -> _Held | None:
        left = (stored.access_left_s or 0.0) - self._margin(stored.access_life_s or 0.0)
        if left <= 0:
            return None
        value = self._secrets.read(connection, ACCESS_TOKEN, self.account)
        token = value.decode() if value else refused
        return None if token is None or token == refused else _Held(token, self._monotonic() + left)

    def _refresh(self, connection: psycopg.Connection, refresh_token: str | None, *, is_same_seed: bool) -> _Held:
        started = self._monotonic()
        answer = self._ask(refresh_token)
        is_rotated = answer.refresh_token is not None and answer.refresh_token != refresh_token
        life = timedelta(seconds=answer.expires_in_s)
        refresh_life = None if answer.refresh_expires_in_s is None else timedelta(seconds=answer.refresh_expires_in_s)
        self._secrets.write(connection, ACCESS_TOKEN, self.account, answer.access_token.encode())
        if is_rotated and answer.refresh_token is not None:
            self._secrets.write(connection, REFRESH_TOKEN, self.account, answer.refresh_token.encode())
        connection.execute(
            _REFRESHED,
            {
                "account": self.account,
                "seed": self._seed(),
                "life": life,
                "refresh_life": refresh_life,
                "is_new": is_rotated or not is_same_seed,
            },
        )
        log.info("%s: access token renewed, refresh token %s", self.account, "rotated" if is_rotated else "kept")
        return _Held(answer.access_token, started + answer.expires_in_s - self._margin(answer.expires_in_s))

    def _margin(self, life_s: float) -> float:
        """A token with a life shorter than the margin would never count as good: use at least half of it."""
        return min(self._margin_s, life_s / 2)

    def _ask(self, refresh_token: str | None) -> TokenAnswer:
        return ask_token_endpoint(
            self._build_request(refresh_token),
            account=self.account,
            parse=self._parse,
            timeout_s=self._timeout_s,
            transport=self._transport,
        )

    def _seed(self) -> bytes:
        return hashlib.blake2b((self._configured or "").encode(), digest_size=16, person=b"oauth-seed").digest()


def ask_token_endpoint(
    request: httpx.Request,
    *,
    account: str,
    parse: ParseAnswer,
    timeout_s: float = 20,
    transport: httpx.BaseTransport | None = None,
) -> TokenAnswer:
    """Sends one request for tokens; nothing is kept.

    Args:
        request: With whatever proves who we are.
        account: ``vendor/name``, for messages.
        parse: Reads a 2xx.
        timeout_s: For the request.
        transport: Replaces the network in tests.

    Raises:
        RefreshRefused: The endpoint refuses.
        TransientError: It does not answer, or says that it cannot now.
    """
    try:
        with httpx.Client(transport=transport, timeout=timeout_s, follow_redirects=False) as client:
            raw = client.send(request)
    except httpx.TransportError as error:
        raise TransientError(f"{account}: the token endpoint did not answer ({type(error).__name__})", account=account) from error
    response = Response(raw.status_code, raw.headers, raw.content, str(request.url))
    if response.is_success:
        return parse(response)
    kept = response.body[:KEPT_BODY]
    if response.status == httpx.codes.TOO_MANY_REQUESTS or response.status >= 500:
        what = f"{account}: the token endpoint answers HTTP {response.status}"
        raise TransientError(what, account=account, status=response.status, body=kept)
    raise RefreshRefused(account, _error_code(response), status=response.status, body=kept)


def bearer(request: httpx.Request, token: str) -> None:
    """``Authorization: Bearer <token>``."""
    request.headers["Authorization"] = f"Bearer {token}"


def form_request(token_url: str, fields: Mapping[str, str], *, basic: tuple[str, str] | None = None) -> BuildRequest:
    """RFC 6749: a form-encoded POST, with ``grant_type=refresh_token`` if there is a refresh token.

    Args:
        token_url: The token endpoint.
        fields: Further fields: ``client_id`` and ``client_secret``, or ``grant_type=client_credentials``.
        basic: Client id and secret sent by basic authentication instead.
    """

    def build(refresh_token: str | None) -> httpx.Request:
        data = dict(fields)
        if refresh_token is not None:
            data |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
        request = httpx.Request("POST", token_url, data=data, headers={"Accept": "application/json"})
        if basic is not None:
            request = next(httpx.BasicAuth(*basic).auth_flow(request))
        return request

    return build


def parse_rfc6749(response: Response) -> TokenAnswer:
    """Reads ``access_token, expires_in, refresh_token, refresh_expires_in``.

    Raises:
        TransientError: The answer is not JSON (a proxy's page).
        ContractError: It lacks an access token or its life.
    """
    try:
        answer = decode_json(response.body)
    except ContractError as error:
        raise TransientError("the token endpoint answers something that is not JSON", status=response.status) from error
    token, life = (answer.get("access_token"), answer.get("expires_in")) if isinstance(answer, dict) else (None, None)
    if not isinstance(token, str) or not token or not isinstance(life, int | Decimal) or life <= 0:
        raise ContractError("the token endpoint grants no access token with a life", status=response.status)
    refresh_life = answer.get("refresh_expires_in")
    return TokenAnswer(
        access_token=token,
        expires_in_s=float(life),
        refresh_token=answer.get("refresh_token") or None,
        refresh_expires_in_s=float(refresh_life) if isinstance(refresh_life, int | Decimal) else None,
    )


def read_token_ages(database: Database) -> list[TokenAges]:
    """Every account's token ages, for the status and its alerts."""
    query = """
        select account, refreshed_at, access_expires_at, refresh_set_at, refresh_expires_at, refused_at, refusal
        from sync.oauth_tokens order by account
    """
    with database.connect() as connection:
        return connection.cursor(row_factory=class_row(TokenAges)).execute(query).fetchall()


def _error_code(response: Response) -> str:
    """The ``error`` field of a refusal, which is a code (RFC 6749 §5.2), not free text."""
    try:
        answer = decode_json(response.body)
    except ContractError:
        return f"HTTP {response.status}"
    code = answer.get("error") if isinstance(answer, dict) else None
    return code if isinstance(code, str) and len(code) <= 60 else f"HTTP {response.status}"


_LOCK = """
    select seed, refusal,
        extract(epoch from access_expires_at - clock_timestamp())::float8 as access_left_s,
        extract(epoch from access_expires_at - refreshed_at)::float8 as access_life_s,
        extract(epoch from clock_timestamp() - refused_at)::float8 as refused_ago_s
    from sync.oauth_tokens where account = %s for update
"""

_REFRESHED = """
    update sync.oauth_tokens set
        seed = %(seed)s, refreshed_at = clock_timestamp(), access_expires_at = clock_timestamp() + %(life)s,
        refresh_set_at = case when %(is_new)s then clock_timestamp() else refresh_set_at end,
        refresh_expires_at = case
            when %(refresh_life)s::interval is not null then clock_timestamp() + %(refresh_life)s::interval
            when %(is_new)s then null else refresh_expires_at end,
        refused_at = null, refusal = null
    where account = %(account)s
"""

_REFUSED = "update sync.oauth_tokens set seed = %s, refused_at = clock_timestamp(), refusal = %s where account = %s"

_FORGET = "delete from sync.secrets where account = %s and name = any(%s)"
