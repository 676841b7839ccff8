"""A person's consent in a browser (RFC 6749 §4.1): where the vendor's answer comes back to, and whether it answers our question.

The address must be listed at the vendor to the letter. Where a browser cannot reach this machine, the person pastes the address
they were led to instead.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

from sync_pipelines.core.errors import AuthError, ConfigError

DEFAULT_PORT = 8765
CALLBACK_PATH = "/callback"

_DONE = b"<!doctype html><title>Done</title><p>The account is authorized. This window can be closed."
_FAILED = b"<!doctype html><title>Not authorized</title><p>This answer was not accepted. See the command line."


class Callback:
    """A server on 127.0.0.1 for one answer.

    Args:
        account: ``vendor/name``, for messages.
        port: 0 takes any.

    Attributes:
        address: Where the vendor sends the browser to.
        state: Ties the answer to our question; goes into the question.

    Raises:
        ConfigError: The port is taken.
    """

    def __init__(self, account: str, port: int = DEFAULT_PORT) -> None:
        self.account, self.state = account, secrets.token_urlsafe(24)
        self._answers: list[Mapping[str, str]] = []
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Takes the vendor's answer from the browser."""
                is_ours = callback.accepts(self.path)
                self.send_response(200 if is_ours else 400)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(_DONE if is_ours and "code" in _query(self.path) else _FAILED)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Says nothing: the address holds the code."""

        try:
            self._server = HTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise ConfigError(f"can not listen on 127.0.0.1:{port} ({error.strerror}); choose another --port") from error
        self.address = f"http://127.0.0.1:{self._server.server_port}{CALLBACK_PATH}"

    def __enter__(self) -> Callback:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def accepts(self, path: str) -> bool:
        """Keeps an answer to our own question; one with another state was made by somebody else."""
        answer = _query(path)
        if urlsplit(path).path != CALLBACK_PATH or not secrets.compare_digest(answer.get("state", ""), self.state):
            return False
        self._answers.append(answer)
        return True

    def wait(self, timeout_s: float) -> str:
        """The code of the first answer to our question.

        Raises:
            AuthError: Nobody agreed in time, or the vendor refused.
        """
        until = time.monotonic() + timeout_s
        while not self._answers:
            self._server.timeout = max(0.0, until - time.monotonic())
            if self._server.timeout == 0:
                raise AuthError(f"{self.account}: nobody agreed in the browser within {timeout_s:g} seconds", account=self.account)
            self._server.handle_request()
        return _code(self.account, self._answers[0])


def pasted_code(account: str, pasted: str, state: str) -> str:
    """The code within the address that a person was led to, or the code itself.

    Args:
        account: ``vendor/name``, for messages.
        pasted: What the person pasted.
        state: That of our question.

    Raises:
        AuthError: The address holds a refusal, or answers somebody else's question.
    """
    pasted = pasted.strip()
    if "?" not in pasted:
        return _code(account, {"code": pasted} if pasted else {})
    answer = _query(pasted)
    if not secrets.compare_digest(answer.get("state", ""), state):
        raise AuthError(f"{account}: this address does not answer the question just asked; open the new one", account=account)
    return _code(account, answer)


def _query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def _code(account: str, answer: Mapping[str, str]) -> str:
    if "code" not in answer:
        raise AuthError(f"{account}: the vendor refused ({answer.get('error', 'no reason given')[:60]})", account=account)
    return answer["code"]
