"""Where messages go in tests: a real SMTP server, and a look-alike of Slack with Slack's limits."""

from __future__ import annotations

import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sync_pipelines_tests.sandboxes import _free_socket, free_port

RELAY_USER, RELAY_PASSWORD = "relay-user", "invented-relay-word"
BOT = "invented-bot-token"


class Mailbox:
    """An SMTP server's memory; ``refusals`` are answered to the next messages instead of taking them."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusals: list[str] = []
        self.logins = 0
        self.arrived = threading.Condition()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refusals:
            return self.refusals.pop(0)
        with self.arrived:
            assert isinstance(envelope.content, bytes)
            self.letters.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
            self.recipients += envelope.rcpt_tos
            self.arrived.notify_all()
        return "250 taken"

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (
            RELAY_USER.encode(),
            RELAY_PASSWORD.encode(),
        )
        return AuthResult(success=is_known, handled=not is_known and False)

    def body(self, index: int = -1) -> str:
        return str(self.letters[index].get_content())

    def wait(self, count: int, timeout_s: float) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.letters) >= count, timeout_s)


@dataclass
class Relay:
    """A running SMTP server."""

    port: int
    mailbox: Mailbox
    certificate: Path | None = None


@contextmanager
def relay(folder: Path, *, security: str = "none") -> Iterator[Relay]:
    """A server on 127.0.0.1: in clear, with STARTTLS required, or in TLS from the first byte."""
    mailbox = Mailbox()
    options: dict[str, Any] = {}
    certificate = None
    if security != "none":
        certificate, context = own_certificate(folder)
        options = {"tls_context": context, "require_starttls": True} if security == "starttls" else {"ssl_context": context}
        options |= {"authenticator": mailbox.authenticate, "auth_required": True}
        if security == "tls":
            options["auth_require_tls"] = False  # aiosmtpd knows only its own STARTTLS
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield Relay(controller.port, mailbox, certificate)
    finally:
        controller.stop()


def own_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, as a file to trust and as a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "relay.pem", folder / "relay.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return public, context


@dataclass
class SlackLookalike:
    """Slack as far as messages go: https://docs.slack.dev/reference/methods/chat.postMessage and the limits it names.

    One message a second and channel (429 with ``Retry-After``), 40,000 characters of text, 50 blocks, 3,000 characters a section,
    150 a header; a bad token is an error inside a 200.
    """

    clock: Callable[[], float] = time.monotonic
    channels: frozenset[str] = frozenset({"C-OPS", "C-SHOP"})
    posts: list[dict[str, Any]] = field(default_factory=list)
    throttled: int = 0
    outage: int | None = None
    url: str = ""
    arrived: threading.Condition = field(default_factory=threading.Condition)
    _last: dict[str, float] = field(default_factory=lambda: defaultdict(lambda: float("-inf")))

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/chat.postMessage", self.post_message, methods=["POST"]),
                Route("/services/T0/B0/{secret}", self.webhook, methods=["POST"]),
            ]
        )

    async def post_message(self, request: Request) -> Response:
        body = await request.json()
        if request.headers.get("authorization") != f"Bearer {BOT}":
            return JSONResponse({"ok": False, "error": "invalid_auth"})
        if body["channel"] not in self.channels:
            return JSONResponse({"ok": False, "error": "channel_not_found"})
        wait = self._throttle(body["channel"])
        if wait or self.outage:
            status = self.outage or 429
            return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=status, headers={"Retry-After": str(wait or 1)})
        problem = _too_large(body)
        if problem:
            return JSONResponse({"ok": False, "error": problem})
        self._keep(body)
        return JSONResponse({"ok": True, "channel": body["channel"], "ts": str(len(self.posts))})

    async def webhook(self, request: Request) -> Response:
        body = await request.json()
        if request.path_params["secret"] != "invented":
            return PlainTextResponse("no_service", status_code=404)
        wait = self._throttle("webhook")
        if wait:
            return PlainTextResponse("rate_limited", status_code=429, headers={"Retry-After": str(wait)})
        problem = _too_large(body)
        if problem:
            return PlainTextResponse(problem, status_code=400)
        self._keep({**body, "channel": "webhook"})
        return PlainTextResponse("ok")

    def wait(self, count: int, timeout_s: float) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.posts) >= count, timeout_s)

    def _keep(self, body: dict[str, Any]) -> None:
        with self.arrived:
            self.posts.append(body)
            self.arrived.notify_all()

    def _throttle(self, channel: str) -> int:
        now = self.clock()
        if now - self._last[channel] < 1:
            self.throttled += 1
            return 1
        self._last[channel] = now
        return 0


def _too_large(body: dict[str, Any]) -> str | None:
    blocks = body.get("blocks", [])
    if len(body["text"]) > 40_000:
        return "msg_too_long"
    if len(blocks) > 50:
        return "invalid_blocks"
    limits = {"section": 3000, "header": 150}
    texts = [(block["type"], block["text"]["text"]) for block in blocks if "text" in block]
    return "invalid_blocks" if any(not 0 < len(text) <= limits[kind] for kind, text in texts) else None


@contextmanager
def slack(**options: Any) -> Iterator[SlackLookalike]:
    """A running look-alike; ``url`` ends with ``/api/``."""
    lookalike = SlackLookalike(**options)
    listening = _free_socket()
    lookalike.url = f"http://127.0.0.1:{listening.getsockname()[1]}/api/"
    server = uvicorn.Server(uvicorn.Config(lookalike.app(), log_level="critical", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield lookalike
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=10)
        listening.close()
