"""Connections of the intake: what is answered directly, what becomes the server's, and how a request may come."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from sync_pipelines.core import intake
from sync_pipelines.core.db import Database
from sync_pipelines.service.app import create_app
from sync_pipelines.service.intake import MAX_BODY, Intake
from sync_pipelines.service.wire import DeliveryConnection
from sync_pipelines_tests.service.process import serving
from sync_pipelines_tests.service.toy_service import ACCOUNTS, WEBHOOKS
from sync_pipelines_tests.waiting import eventually

BODY = b'{"refs": ["A"]}'
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


class Peer:
    """A sender that writes and reads bytes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self._read = self.socket.makefile("rb")

    def send(self, *parts: bytes) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, part in enumerate(parts):
            if number:
                threading.Event().wait(0.05)
            self.socket.sendall(part)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._read.readline().split()[1])
        lines = iter(self._read.readline, b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.decode().partition(":") for line in lines)}
        return status, headers, self._read.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        return self._read.read(1) == b""


@pytest.fixture
def service(database_url: str) -> Intake:
    return Intake(Database(database_url, timeout_s=2), WEBHOOKS, ACCOUNTS.get)


@pytest.fixture
def connect(database_url: str, service: Intake) -> Iterator[Callable[[], Peer]]:
    with running(database_url, service) as connect:
        yield connect


@contextmanager
def running(database_url: str, service: Intake, **options: Any) -> Iterator[Callable[[], Peer]]:
    app = service.before(create_app(Database(database_url), parts=[service.running]))
    with serving(app, service, **options) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield lambda: Peer((host, int(port)))


def delivery(body: bytes = BODY, *headers: str, version: str = "1.1", path: str = "/webhooks/toy-signed/main") -> bytes:
    signature = hmac.new(b"present-key", body, hashlib.sha256).hexdigest()
    lines = [f"POST {path} HTTP/{version}", "Host: toy", f"Toy-Signature: {signature}", *headers]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def numbered(number: int) -> bytes:
    return json.dumps({"refs": [f"r{number}"]}).encode()


def refs(database: Database) -> list[Any]:
    return [json.loads(one.body)["refs"] for one in intake.read(database, account="toy/main")]


@pytest.fixture
def handed_over() -> Iterator[list[bytes]]:
    """What connections began with that were handed over."""
    found: list[bytes] = []
    hand_over = DeliveryConnection._hand_over

    def noted(self: DeliveryConnection, data: bytes) -> None:
        found.append(data)
        hand_over(self, data)

    with patch.object(DeliveryConnection, "_hand_over", noted):
        yield found


def test_a_connection_brings_one_delivery_after_the_other(
    connect: Callable[[], Peer], database: Database, handed_over: list[bytes]
) -> None:
    peer = connect()
    for number in range(5):
        peer.send(delivery(numbered(number)))
        assert peer.answer() == (200, {"content-length": "0"}, b"")
    assert refs(database) == [[f"r{number}"] for number in range(5)]
    assert handed_over == []


@pytest.mark.parametrize("cuts", [[-1], [-len(BODY)], [-len(BODY), -4]])
def test_a_body_may_come_in_parts(
    connect: Callable[[], Peer], database: Database, handed_over: list[bytes], cuts: list[int]
) -> None:
    peer, whole = connect(), delivery()
    ends = [*cuts, None]
    peer.send(*(whole[start:end] for start, end in zip([0, *cuts], ends, strict=True)))
    assert peer.answer()[0] == 200
    assert refs(database) == [["A"]]
    assert handed_over == []


@pytest.mark.parametrize(
    "parts",
    [
        (delivery()[:3], delivery()[3:]),
        (delivery()[:60], delivery()[60:]),
        (delivery(CHUNKS, "Transfer-Encoding: chunked", path="/webhooks/toy/main?key=present-key"),),
        (delivery(path="/webhooks/toy-signed/m%61in"),),
    ],
    ids=["request line in parts", "head in parts", "chunked", "quoted address"],
)
def test_what_is_not_plain_is_stored_all_the_same(
    connect: Callable[[], Peer], database: Database, handed_over: list[bytes], parts: tuple[bytes, ...]
) -> None:
    peer = connect()
    peer.send(delivery(numbered(1)))
    assert peer.answer()[0] == 200
    peer.send(*parts)
    assert peer.answer()[0] == 200
    peer.send(delivery(numbered(2)))
    assert peer.answer()[0] == 200
    assert refs(database) == [["r1"], ["A"], ["r2"]]
    assert len(handed_over) == 1


def test_a_sender_that_waits_to_be_asked_for_the_body_is_asked(connect: Callable[[], Peer], database: Database) -> None:
    peer = connect()
    head, _, body = delivery(BODY, "Expect: 100-continue").partition(b"\r\n\r\n")
    peer.send(head + b"\r\n\r\n")
    assert peer.answer()[0] == 100
    peer.send(body)
    assert peer.answer()[0] == 200
    assert refs(database) == [["A"]]


def test_pages_are_answered_on_a_connection_that_brought_deliveries(connect: Callable[[], Peer]) -> None:
    peer = connect()
    peer.send(delivery())
    assert peer.answer()[0] == 200
    peer.send(b"GET /healthz HTTP/1.1\r\nHost: toy\r\n\r\n")
    assert peer.answer()[2] == b'{"alive":true}'


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (delivery().replace(b"Toy-Signature: ", b"Toy-Signature: 0"), 401),
        (delivery(path="/webhooks/toy-signed/nobody"), 404),
        (delivery(path="/webhooks/toy-signed/deeper/main"), 404),
        (delivery(b"{"), 400),
        (delivery().replace(b"Content-Length: 15", b"Content-Length: x"), 400),
        (delivery().replace(b"Content-Length: 15", b"Content-Length: 15\r\nContent-Length: 16"), 400),
        (delivery().replace(b"Host: toy", b"Host : toy"), 400),
        (delivery().replace(b"Content-Length: 15", b"Content-Length: %d" % (MAX_BODY + 1)), 413),
    ],
)
def test_what_is_refused_is_not_stored(connect: Callable[[], Peer], database: Database, request_: bytes, status: int) -> None:
    peer = connect()
    peer.send(request_)
    assert peer.answer()[0] == status
    assert refs(database) == []


@pytest.mark.parametrize(
    "request_",
    [
        delivery(BODY, "Connection: close"),
        delivery(version="1.0"),
        delivery(BODY, "Connection: keep-alive", version="1.0"),
    ],
)
def test_a_connection_that_cannot_go_on_is_closed_after_the_answer(connect: Callable[[], Peer], request_: bytes) -> None:
    peer = connect()
    peer.send(request_)
    assert peer.answer() == (200, {"content-length": "0", "connection": "close"}, b"")
    assert peer.is_closed()


@pytest.mark.parametrize("second", [delivery(numbered(2)), b"GET /healthz HTTP/1.1\r\nHost: toy\r\n\r\n", b"\x00garbage"])
def test_a_sender_that_does_not_wait_gets_one_answer_and_has_to_send_the_rest_again(
    connect: Callable[[], Peer], database: Database, second: bytes
) -> None:
    peer = connect()
    peer.send(delivery(numbered(1)) + second)
    status, headers, _ = peer.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert peer.is_closed()
    assert refs(database) == [["r1"]]


def test_a_sender_that_has_gone_is_stored_all_the_same(connect: Callable[[], Peer], database: Database) -> None:
    peer = connect()
    peer.send(delivery())
    peer.socket.close()
    eventually(lambda: refs(database) == [["A"]])


def test_idle_connections_are_closed(service: Intake, database_url: str) -> None:
    with running(database_url, service, timeout_keep_alive=1) as connect:
        silent, used = connect(), connect()
        used.send(delivery())
        assert used.answer()[0] == 200
        assert silent.is_closed()
        assert used.is_closed()


def test_a_stop_answers_what_is_under_way(service: Intake, database: Database, database_url: str) -> None:
    store, held, go_on = service._store, threading.Event(), threading.Event()

    def slowly(deliveries: Any) -> list[bool]:
        held.set()
        go_on.wait(10)
        return store(deliveries)

    service._commits._commit = slowly
    with running(database_url, service) as connect:
        peers = [connect() for _ in range(3)]
        peers[0].send(delivery(numbered(0)))
        held.wait(10)
        for number in (1, 2):
            peers[number].send(delivery(numbered(number)))
        eventually(lambda: len(service._commits._pending) == 2)
        threading.Timer(0.3, go_on.set).start()
    for peer in peers:
        assert peer.answer()[0] == 200
        assert peer.is_closed()
    assert sorted(refs(database)) == [["r0"], ["r1"], ["r2"]]
