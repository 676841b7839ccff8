"""What one call is, what is counted of it, and which of its failures are worth another try. `http.HttpClient` makes the calls."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import httpx

from sync_pipelines.core.answers import path_template
from sync_pipelines.core.errors import RemoteError, TransientError, UnclearOutcome


class CallStats:
    """Monotonic counters of one client; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.api_calls = 0
        self.throttled = 0
        self.waited_s = 0.0

    def add(self, *, api_calls: int = 0, throttled: int = 0, waited_s: float = 0.0) -> None:
        """Adds to the counters."""
        with self._lock:
            self.api_calls += api_calls
            self.throttled += throttled
            self.waited_s += waited_s


class HeaderKey(httpx.Auth):
    """A fixed key in a header: ``HeaderKey("Authorization", "Bearer …")``."""

    def __init__(self, header: str, value: str) -> None:
        self._header, self._value = header, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See `httpx.Auth`."""
        request.headers[self._header] = self._value
        yield request


@dataclass(frozen=True)
class Call:
    """One `http.HttpClient.request` as it was asked for; the fields are its arguments."""

    method: str
    url: httpx.URL
    headers: dict[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)
    buckets: tuple[str, ...]
    expect: frozenset[int]
    side_effect: bool
    answer: Literal["json", "any"]

    @property
    def place(self) -> str:
        """For logs and messages."""
        return f"{self.method} {path_template(self.url.path)}"


class Repeatable(TransientError):
    """A failure worth repeating; never leaves `http.HttpClient`.

    Args:
        final: What is raised when repeating did not help.
        pause_s: The least pause the vendor asks for.
        is_harmless: Whether the request certainly never reached the vendor.
    """

    def __init__(self, final: RemoteError, *, pause_s: float = 0.0, is_harmless: bool = False) -> None:
        super().__init__(str(final), account=final.account, status=final.status, body=final.body)
        self.final, self.pause_s, self.is_harmless = final, pause_s, is_harmless


def unclear(account: str, call: Call, error: TransientError) -> UnclearOutcome:
    """What a lost answer to a request with side effects is."""
    return UnclearOutcome(
        f"{account}: {call.place} may or may not have been carried out; ask the vendor before sending it again",
        account=account,
        status=error.status,
        body=error.body,
    )


@cache
def trust() -> ssl.SSLContext:
    """The trusted authorities, read once: parsing them takes longer than opening a database."""
    return httpx.create_ssl_context()
