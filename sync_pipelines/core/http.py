"""Calls to one account of one vendor: within its budget, within a deadline, within a size, and never without a typed error.

Does not page and knows no vendor: a vendor's client says what its answers mean through ``classify`` and ``observe``. Each attempt
takes its own call from the budget, the repetition after a refreshed token and a followed redirect included.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx

from sync_pipelines.core.answers import KEPT_BODY, Response, classify, path_template, retry_after_s
from sync_pipelines.core.budget import Budget
from sync_pipelines.core.calls import Call, CallStats, HeaderKey, Repeatable, trust, unclear
from sync_pipelines.core.errors import ContractError, SyncError, Throttled, TransientError
from sync_pipelines.core.jsons import Json, encode_json, is_json

__all__ = ["CallStats", "HeaderKey", "HttpClient", "Response"]

log = logging.getLogger("sync_pipelines.http")

# httpx and httpcore log whole addresses and headers, which may carry keys; ours is the only log of calls.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

MAX_IN_FLIGHT = 10
LONGEST_CONNECT_S = 15.0
LONGEST_BACKOFF_S = 30.0
SHORTEST_THROTTLE_S = 2.0
_REDIRECTS = {301, 302, 303, 307, 308}
_MAX_REDIRECTS = 3
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

Classify = Callable[[Response], SyncError | None]
Observe = Callable[[Response, Budget], None]


class HttpClient:
    """The only way a vendor's client reaches its vendor. Thread-safe, at most 10 calls in flight.

    Args:
        account: ``vendor/name``.
        base_url: Paths are appended to it; absolute addresses must be on its host.
        budget: Quotas; ``None`` for none.
        auth: An httpx auth flow.
        default_buckets: Taken from when a request names none.
        classify: The vendor's reading of an answer, asked first for every answer (2xx too): an error, or ``None`` to go by the
            status. A `Throttled` it returns carries the time to go on; one in the past means our back-off.
        observe: Called with every answer and the budget, to pass on the vendor's rate headers.
        headers: Sent with every request.
        timeout_s: For one attempt in total, from the connection to the last byte.
        max_body: Most bytes of an answer, decompressed.
        attempts: How often a request is tried in all when it fails transiently.
        quick_throttle_retries: How often a throttled request is repeated before `Throttled` ends the run.
        min_interval_s: Least time between two calls of this client. (Across processes, declare a `BucketSpec.paced` bucket.)
        max_wait_s: The longest pause this client sleeps by itself; a longer one raises.
        transport: Replaces the network in tests.
        sleep: Waits so many seconds.
        monotonic: Seconds, for deadlines.
        now: Aware UTC, for ``Retry-After`` dates.
        chance: A random number in [0, 1).
    """

    def __init__(
        self,
        *,
        account: str,
        base_url: str,
        budget: Budget | None = None,
        auth: httpx.Auth | None = None,
        default_buckets: tuple[str, ...] = (),
        classify: Classify | None = None,
        observe: Observe | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60,
        max_body: int = 64 * 1024 * 1024,
        attempts: int = 4,
        quick_throttle_retries: int = 3,
        min_interval_s: float = 0,
        max_wait_s: float = 60,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.account, self.stats = account, CallStats()
        self._base = httpx.URL(base_url.rstrip("/"))
        self._budget, self._auth, self._default_buckets = budget, auth or httpx.Auth(), default_buckets
        self._vendor_classify, self._observe = classify, observe
        self._timeout_s, self._max_body, self._attempts = timeout_s, max_body, attempts
        self._quick_throttle_retries, self._min_interval_s, self._max_wait_s = quick_throttle_retries, min_interval_s, max_wait_s
        self._sleep, self._monotonic, self._now, self._chance = sleep, monotonic, now, chance
        self._slots = threading.BoundedSemaphore(MAX_IN_FLIGHT)
        self._pace_lock, self._next_start = threading.Lock(), float("-inf")
        self._client = httpx.Client(
            transport=transport,
            headers=dict(headers or {}),
            verify=trust() if transport is None else True,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, LONGEST_CONNECT_S)),
            limits=httpx.Limits(max_connections=MAX_IN_FLIGHT, max_keepalive_connections=MAX_IN_FLIGHT),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | list[tuple[str, Any]] | None = None,
        json: Json = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        buckets: tuple[str, ...] | None = None,
        expect: Collection[int] = (),
        side_effect: bool = False,
        answer: Literal["json", "any"] = "json",
    ) -> Response:
        """Sends a request until it is answered for good.

        Args:
            method: HTTP method.
            path: Appended to the base address, or an absolute address on the same host (a vendor's ``next`` link).
            params: Query; merged into the query ``path`` may have.
            json: A value sent as JSON with exact decimals.
            content: A body sent as it is; give its type in ``headers``.
            headers: For this request only.
            buckets: Taken from instead of the default ones.
            expect: Statuses that are answers, not errors (404 where absence is an answer).
            side_effect: The request must not be carried out twice: once it may have reached the vendor, a missing answer is
                `UnclearOutcome` and never repeated.
            answer: ``json``: a 2xx must be one JSON document (an empty 201, 202, 204 is fine). ``any``: the body is not looked at.

        Raises:
            Throttled: Out of quota; go on at ``retry_at``.
            TransientError: It failed ``attempts`` times.
            UnclearOutcome: See ``side_effect``.
            AuthError: 401 or 403, after the auth flow's own attempt.
            DataError: Another 4xx.
            ContractError: Not JSON every time, a body too large, an address or redirect that leaves the host.
        """
        sent_headers = dict(headers or {})
        if json is not None:
            content = encode_json(json)
            sent_headers.setdefault("Content-Type", "application/json")
        if answer == "json":
            sent_headers.setdefault("Accept", "application/json")
        call = Call(
            method=method.upper(),
            url=self._address(path, params),
            headers=sent_headers,
            content=content,
            buckets=self._default_buckets if buckets is None else buckets,
            expect=frozenset(expect),
            side_effect=side_effect,
            answer=answer,
        )
        failures = throttles = 0
        while True:
            with self._slots:
                result = self._attempt(call, throttles)
            if isinstance(result, Response):
                return result
            if isinstance(result, Throttled):
                throttles += 1
                self._after_throttle(result, throttles, call)
            elif isinstance(result, Repeatable):
                failures += 1
                pause = max(result.pause_s, self._chance() * min(LONGEST_BACKOFF_S, 2.0 ** (failures - 1)))
                if failures >= self._attempts or pause > self._max_wait_s:
                    raise result.final
                self._wait(pause)
            else:
                raise result

    def close(self) -> None:
        """Closes the connections and gives back the calls that were granted ahead."""
        self._client.close()
        self._quietly("close", lambda budget: budget.close())

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HttpClient({self.account!r})"

    # -- one attempt --------------------------------------------------------------------------------------------------------

    def _attempt(self, call: Call, throttles: int) -> Response | SyncError:
        """Sends the request once (plus redirects and the auth flow's own repetition); returns the answer or what it means."""
        try:
            response = self._follow(call)
        except Repeatable as error:
            return error if error.is_harmless or not call.side_effect else unclear(self.account, call, error)
        meaning = self._meaning(call, response, throttles)
        if call.side_effect and isinstance(meaning, TransientError):
            return unclear(self.account, call, meaning)
        if isinstance(meaning, TransientError) and not isinstance(meaning, Repeatable):
            return Repeatable(meaning, pause_s=retry_after_s(response.headers, now=self._now()) or 0.0)
        return meaning or response

    def _follow(self, call: Call) -> Response:
        url = call.url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._authenticated(call, url)
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or response.status in call.expect or location is None:
                return response
            if call.method not in {"GET", "HEAD"}:
                raise self._contract(call, f"redirects a {call.method}, which would change its meaning")
            url = url.join(location)
            self._require_same_host(url, f"{call.place} redirects")
        raise self._contract(call, "redirects without end")

    def _authenticated(self, call: Call, url: httpx.URL) -> Response:
        """Walks the auth flow; each request of the flow is a call of its own in the budget."""
        request = self._client.build_request(call.method, url, content=call.content, headers=call.headers)
        flow = self._auth.sync_auth_flow(request)
        try:
            request = next(flow)
            while True:
                raw, response = self._send(call, request)
                try:
                    request = flow.send(raw)
                except StopIteration:
                    return response
        finally:
            flow.close()

    def _send(self, call: Call, request: httpx.Request) -> tuple[httpx.Response, Response]:
        grant = None
        if self._budget is not None:
            grant = self._budget.acquire(*call.buckets, hold_s=2 * self._timeout_s + self._min_interval_s)
            self.stats.add(waited_s=grant.waited_s)
        try:
            self._keep_interval()
            raw, body = self._exchange(call, request)
        finally:
            if self._budget is not None and grant is not None:
                self._quietly(call.place, lambda budget: budget.settle(grant))
        response = Response(raw.status_code, raw.headers, body, str(request.url))
        if self._observe is not None and self._budget is not None:
            observe = self._observe
            self._quietly(call.place, lambda budget: observe(response, budget))
        return raw, response

    def _exchange(self, call: Call, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        started = self._monotonic()
        status: int | None = None
        self.stats.add(api_calls=1)
        try:
            raw = self._client.send(request, stream=True, auth=None)
            status = raw.status_code
            try:
                return raw, self._read(call, raw, started)
            finally:
                raw.close()
        except (httpx.TransportError, httpx.DecodingError) as error:
            sent = not isinstance(error, _NOT_SENT)
            where = f"{self._base.host}:{self._base.port}" if self._base.port else self._base.host
            what = f"{call.place} broke off" if sent else f"no connection to {where}; is the account's base_url right?"
            lost = TransientError(f"{self.account}: {what} ({type(error).__name__})", account=self.account, status=status)
            raise Repeatable(lost, is_harmless=not sent) from error
        finally:
            seconds = self._monotonic() - started
            log.info(
                "%s %s %s %.3fs",
                self.account,
                call.place,
                status or "no answer",
                seconds,
                extra={
                    "account": self.account,
                    "method": call.method,
                    "path": path_template(call.url.path),
                    "status": status,
                    "seconds": round(seconds, 3),
                },
            )

    def _read(self, call: Call, raw: httpx.Response, started: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in raw.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_body:
                raise self._contract(call, f"answers with more than {self._max_body} bytes", status=raw.status_code)
            if self._monotonic() - started > self._timeout_s:
                late = f"{self.account}: {call.place} took longer than {self._timeout_s:g} s"
                raise Repeatable(TransientError(late, account=self.account, status=raw.status_code))
        return b"".join(chunks)

    # -- what an answer means -----------------------------------------------------------------------------------------------

    def _meaning(self, call: Call, response: Response, throttles: int) -> SyncError | None:
        own = self._vendors_meaning(response)
        if own is not None:
            return self._with_time(own, throttles)
        if response.status in call.expect:
            return None
        asked = retry_after_s(response.headers, now=self._now())
        retry_at = self._now() + timedelta(seconds=asked or self._throttle_backoff(throttles))
        error = classify(response, account=self.account, retry_at=retry_at)
        if error is not None or call.answer == "any" or (not response.body and response.may_be_empty) or is_json(response.body):
            return error
        what = f"{self.account}: {call.place} answers HTTP {response.status} with something that is not JSON"
        # A proxy's page or a cut answer is worth another try; if it lasts, the contract is broken.
        lasting = ContractError(what, account=self.account, status=response.status, body=response.body[:KEPT_BODY])
        return Repeatable(lasting)

    def _vendors_meaning(self, response: Response) -> SyncError | None:
        """What ``classify`` makes of it; an answer it cannot even read as JSON goes by the general rules."""
        if self._vendor_classify is None:
            return None
        try:
            return self._vendor_classify(response)
        except ContractError:
            return None

    def _with_time(self, error: SyncError, throttles: int) -> SyncError:
        if isinstance(error, Throttled) and error.retry_at <= self._now():
            error.retry_at = self._now() + timedelta(seconds=self._throttle_backoff(throttles))
        return error

    def _contract(self, call: Call, what: str, *, status: int | None = None) -> ContractError:
        return ContractError(f"{self.account}: {call.place} {what}", account=self.account, status=status)

    # -- waiting ------------------------------------------------------------------------------------------------------------

    def _after_throttle(self, error: Throttled, throttles: int, call: Call) -> None:
        """Blocks the buckets for everybody and waits, or ends the run."""
        self.stats.add(throttled=1)
        seconds = max(0.0, (error.retry_at - self._now()) / timedelta(seconds=1))
        if self._budget is not None and call.buckets:
            self._budget.block(call.buckets, seconds)
        if throttles > self._quick_throttle_retries or seconds > self._max_wait_s:
            raise error
        if self._budget is None or not call.buckets:
            self._wait(seconds)

    def _throttle_backoff(self, throttles: int) -> float:
        """2, 4, 8 … seconds, each up to half longer by chance, so that processes do not come back together."""
        return float(min(LONGEST_BACKOFF_S, SHORTEST_THROTTLE_S * 2**throttles) * (1 + self._chance() / 2))

    def _wait(self, seconds: float) -> None:
        self.stats.add(waited_s=seconds)
        self._sleep(seconds)

    def _keep_interval(self) -> None:
        if self._min_interval_s <= 0:
            return
        with self._pace_lock:
            start = max(self._monotonic(), self._next_start)
            self._next_start = start + self._min_interval_s
        pause = start - self._monotonic()
        if pause > 0:
            self._wait(pause)

    def _quietly(self, place: str, book: Callable[[Budget], None]) -> None:
        """Book-keeping after an answer must not lose the answer: unbooked calls free themselves when their hold ends."""
        if self._budget is None:
            return
        try:
            book(self._budget)
        except SyncError as error:
            log.warning("%s %s: the budget could not be updated (%s)", self.account, place, type(error).__name__)

    # -- addresses ----------------------------------------------------------------------------------------------------------

    def _address(self, path: str, params: Mapping[str, Any] | list[tuple[str, Any]] | None) -> httpx.URL:
        if "://" in path or path.startswith("//"):
            url = self._base.join(path)
            self._require_same_host(url, "an address from the vendor leads")
        else:
            url = httpx.URL(f"{self._base}/{path.lstrip('/')}")
        return url.copy_merge_params(dict(params) if isinstance(params, Mapping) else httpx.QueryParams(params)) if params else url

    def _require_same_host(self, url: httpx.URL, what: str) -> None:
        if (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise ContractError(
                f"{self.account}: {what} to another host ({url.scheme}://{url.host}) than {self._base.host}; not followed",
                account=self.account,
            )
