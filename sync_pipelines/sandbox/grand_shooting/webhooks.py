"""The vendor's webhook sender: flushed every 10 s, at most 50 items a call, three tries, then lost; unsigned.

Until a message has been answered 200 or given up, nothing else goes to the same address for the same topic. A test can make the
way unreliable (`Weather`) and can `flush` by hand instead of waiting.
"""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from sync_pipelines.sandbox.common.clock import Clock

TOPICS = tuple(f"{kind}/{verb}" for kind in ("pictures", "references") for verb in ("create", "update", "delete"))
MAX_ITEMS = 50
RETRY_AFTER = (10.0, 60.0)
ANSWER_WITHIN_S = 5.0

Post = Callable[[str, bytes], int]


@dataclass
class Weather:
    """How unreliable the way is.

    Attributes:
        flush_s: Seconds between flushes.
        drop: Chance that an event is never sent.
        duplicate: Chance that an event is sent twice.
        reorder: Whether the events of a flush are shuffled.
        with_data: Whether the body carries the objects (``data``).
        string_ids: Whether ids are sent as strings.
        seed: Of the chances.
    """

    flush_s: float = 10.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: bool = False
    with_data: bool = False
    string_ids: bool = False
    seed: int = 0


@dataclass
class Message:
    """One call under way to one address for one topic."""

    body: bytes
    tries: int = 0
    due: float = 0.0


@dataclass
class Subscription:
    """One topic at one address."""

    webhook_id: int
    address: str
    topic: str
    waiting: deque[Message] = field(default_factory=deque)

    def as_json(self) -> dict[str, Any]:
        """As ``GET /webhook`` shows it."""
        return {"webhook_id": self.webhook_id, "address": self.address, "topic": self.topic}


class Webhooks:
    """Subscriptions and deliveries of one account.

    Args:
        account_id: Sent in every body.
        clock: Decides when a flush and a retry are due.
        post: Sends a body to an address and returns the HTTP status; 0 for no answer.
    """

    def __init__(self, account_id: int, clock: Clock, *, post: Post | None = None) -> None:
        self.account_id, self._clock = account_id, clock
        self.weather = Weather()
        self.subscriptions: dict[int, Subscription] = {}
        self.counts = {"events": 0, "dropped": 0, "delivered": 0, "failed": 0, "lost": 0}
        self._post = post or post_to_loopback
        self._events: list[tuple[str, int, dict[str, Any] | None]] = []
        self._random = random.Random(0)
        self._lock, self._sending = threading.RLock(), threading.Lock()
        self._next_flush = 0.0
        self._thread: threading.Thread | None = None

    def set_weather(self, weather: Weather) -> None:
        """Changes the weather from now on."""
        self.weather, self._random = weather, random.Random(weather.seed)
        self._next_flush = 0.0

    def subscribe(self, address: str, topic: str, webhook_id: int | None = None) -> Subscription:
        """Adds a subscription, or replaces the one of that id."""
        with self._lock:
            number = webhook_id or max(self.subscriptions, default=0) + 1
            self.subscriptions[number] = Subscription(number, address, topic)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_for_ever, daemon=True, name="grand-shooting-webhooks")
                self._thread.start()
            return self.subscriptions[number]

    def add(self, topic: str, reference_id: int, reference: dict[str, Any] | None) -> None:
        """Notes a change; sent with the next flush."""
        if not any(subscription.topic == topic for subscription in self.subscriptions.values()):
            return
        with self._lock:
            self.counts["events"] += 1
            if self._random.random() < self.weather.drop:
                self.counts["dropped"] += 1
                return
            copies = 2 if self._random.random() < self.weather.duplicate else 1
            self._events.extend([(topic, reference_id, dict(reference) if reference else None)] * copies)

    def flush(self, *, force: bool = True) -> int:
        """Packs noted events and sends what is due; returns how many calls were answered 200."""
        with self._lock:
            now = self._clock.now()
            if force or now >= self._next_flush:
                self._pack()
                self._next_flush = now + self.weather.flush_s
            subscriptions = list(self.subscriptions.values())
        with self._sending:
            return sum(self._send(subscription, force) for subscription in subscriptions)

    @property
    def idle(self) -> bool:
        """Whether nothing is noted, packed or waiting for a retry."""
        with self._lock:
            return not self._events and not any(s.waiting for s in self.subscriptions.values())

    def _pack(self) -> None:
        events, self._events = self._events, []
        if self.weather.reorder:
            self._random.shuffle(events)
        for subscription in self.subscriptions.values():
            mine = [event for event in events if event[0] == subscription.topic]
            for start in range(0, len(mine), MAX_ITEMS):
                subscription.waiting.append(Message(self._body(subscription.topic, mine[start : start + MAX_ITEMS])))

    def _body(self, topic: str, events: list[tuple[str, int, dict[str, Any] | None]]) -> bytes:
        ids: list[int | str] = [str(number) if self.weather.string_ids else number for _, number, _ in events]
        body: dict[str, Any] = {"account_id": self.account_id, "topic": topic, "type": "reference", "ids": ids}
        data = {str(number): reference for _, number, reference in events if reference}
        if self.weather.with_data and data:
            body["data"] = data
        return json.dumps(body).encode()

    def _send(self, subscription: Subscription, force: bool) -> int:
        delivered = 0
        while subscription.waiting and (force or subscription.waiting[0].due <= self._clock.now()):
            message = subscription.waiting[0]
            status = self._post(subscription.address, message.body)
            if status == 200:
                subscription.waiting.popleft()
                self.counts["delivered"] += 1
                delivered += 1
                continue
            self.counts["failed"] += 1
            message.tries += 1
            if message.tries > len(RETRY_AFTER):
                subscription.waiting.popleft()
                self.counts["lost"] += 1
                continue
            message.due = self._clock.now() + RETRY_AFTER[message.tries - 1]
            break
        return delivered

    def _deliver_for_ever(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(min(0.1, self.weather.flush_s / 2))
            self.flush(force=False)


def post_to_loopback(address: str, body: bytes) -> int:
    """Posts to this machine only; the look-alike must never call out."""
    if urlsplit(address).hostname not in {"127.0.0.1", "localhost", "::1"}:
        return 0
    try:
        return httpx.post(address, content=body, headers={"content-type": "application/json"}, timeout=ANSWER_WITHIN_S).status_code
    except httpx.HTTPError:
        return 0
