"""The OAuth authorization code flow for one person at one browser, with the vendor's answer caught on this machine.

The callback address must be listed at the vendor's developer console (apis/gazelle/facts.md §2).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from sync_pipelines.core.errors import AuthError
from sync_pipelines.core.http import HttpClient
from sync_pipelines.core.oauth import TokenAnswer, parse_rfc6749
from sync_pipelines.vendors.gazelle.settings import AUTHORIZE_PATH

DEFAULT_PORT = 8765
CALLBACK_PATH = "/callback"

_DONE = b"<!doctype html><title>Done</title><p>The account is authorized. This window can be closed."
_FAILED = b"<!doctype html><title>Not authorized</title><p>This answer was not accepted. See the command line."


@dataclass(frozen=True)
class Application:
    """Our registration at the vendor.

    Attributes:
        account: ``vendor/name``.
        base_url: Where the consent page is.
        token_url: Where the code is exchanged.
        client_id: From the developer console.
        client_secret: The same.
    """

    account: str
    base_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


def authorize(
    application: Application,
    *,
    open_browser: Callable[[str], object],
    port: int = DEFAULT_PORT,
    timeout_s: float = 300,
) -> TokenAnswer:
    """Lets a person agree in the browser and exchanges the code that comes back.

    Args:
        application: Who asks.
        open_browser: Shows an address to the person.
        port: Of the callback on 127.0.0.1.
        timeout_s: How long to wait for the person.

    Raises:
        AuthError: Nobody agreed in time, the vendor refused, or the answer does not belong to our question.
    """
    state = secrets.token_urlsafe(24)
    with _Callback(port) as callback:
        query = {
            "client_id": application.client_id,
            "response_type": "code",
            "redirect_uri": callback.address,
            "state": state,
        }
        open_browser(f"{application.base_url.rstrip('/')}{AUTHORIZE_PATH}?{urlencode(query)}")
        code = callback.wait(application.account, state, timeout_s)
        return _exchange(application, code, callback.address)


def _exchange(application: Application, code: str, redirect_uri: str) -> TokenAnswer:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    address = urlsplit(application.token_url)
    with HttpClient(account=application.account, base_url=f"{address.scheme}://{address.netloc}") as http:
        answer = http.request("POST", address.path, content=urlencode(form).encode(), headers=headers, side_effect=True)
    return parse_rfc6749(answer)


class _Callback:
    """A server on 127.0.0.1 for one answer."""

    def __init__(self, port: int) -> None:
        self._answers: list[dict[str, str]] = []
        self._expected_state = ""
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Takes the vendor's answer from the browser."""
                address = urlsplit(self.path)
                answer = {name: values[0] for name, values in parse_qs(address.query).items()}
                is_ours = address.path == CALLBACK_PATH and callback.accepts(answer)
                self.send_response(200 if is_ours else 400)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_DONE if is_ours and "code" in answer else _FAILED)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Says nothing: the address holds the code."""

        self._server = HTTPServer(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}{CALLBACK_PATH}"

    def __enter__(self) -> _Callback:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def accepts(self, answer: dict[str, str]) -> bool:
        """Keeps an answer to our own question; one with another state was made by somebody else."""
        if not secrets.compare_digest(answer.get("state", ""), self._expected_state):
            return False
        self._answers.append(answer)
        return True

    def wait(self, account: str, state: str, timeout_s: float) -> str:
        """The code of the first answer with our state."""
        self._expected_state = state
        until = time.monotonic() + timeout_s
        while not self._answers:
            self._server.timeout = max(0.0, until - time.monotonic())
            if self._server.timeout == 0:
                raise AuthError(f"{account}: nobody agreed in the browser within {timeout_s:g} seconds", account=account)
            self._server.handle_request()
        answer = self._answers[0]
        if "code" not in answer:
            raise AuthError(f"{account}: the vendor refused ({answer.get('error', 'no reason given')[:60]})", account=account)
        return answer["code"]
