"""Documents outside the database: in a store they are what they are in a directory, and trouble with it is told in time."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pypdf import PdfReader
from upath import UPath

from sync_pipelines.config import parse_config
from sync_pipelines.core.db import Database
from sync_pipelines.core.errors import ConfigError, DataError, TransientError
from sync_pipelines.core.sync import Request
from sync_pipelines.vendors.sendcloud import document_store, documents
from sync_pipelines.vendors.sendcloud.actions import LabelTotals
from sync_pipelines.vendors.sendcloud.vendor import prerequisites
from sync_pipelines_tests.sandboxes import RunningSandbox
from sync_pipelines_tests.vendors.sendcloud.shop_cli import ShopCli
from sync_pipelines_tests.vendors.sendcloud.test_labels import RULES, due_now, made, request, rows, set_labels, work
from sync_pipelines_tests.vendors.sendcloud.worlds import ACCOUNT, Shop

BUCKET = "s3://bucket/labels"


@pytest.fixture
def shop(database: Database, sandbox: Callable[..., RunningSandbox]) -> Shop:
    running = sandbox("sendcloud")
    running.control.post("settings", writes_per_minute=100_000, writes_per_second=100_000, announce_s=0)
    running.control.post("world", orders=40, shipped_percent=0, history_days=5)
    shop = Shop(database, running)
    shop.sync(request=Request(start=datetime.now(UTC) - timedelta(days=10)))
    return shop


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}/labels"


@pytest.fixture
def _no_s3fs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)


def problems(directory: str) -> str:
    account = (
        f"{{id: {ACCOUNT}, credentials: {{public_key: a, secret_key: b}}, settings: {{labels: {{directory: {directory!r}}}}}}}"
    )
    with pytest.raises(ConfigError) as raised:
        parse_config(f"accounts:\n  - {account}\n", environ={})
    return str(raised.value)


def test_labels_in_a_store_are_kept_read_back_and_merged(shop: Shop, store: str) -> None:
    set_labels(shop, **RULES, directory=store)
    ids = request(shop, 25)
    totals = work(shop)
    assert totals.done == len(ids) > 20
    assert rows(shop, "SELECT count(content), count(path) FROM sendcloud.label_documents") == [(0, totals.documents)]
    assert len(list(UPath(store).rglob("*.pdf"))) == totals.documents
    with shop.database.connect() as connection:
        kept = documents.read(connection, ACCOUNT, ids)
    pages = PdfReader(io.BytesIO(documents.merge(kept))).pages
    assert [page.extract_text() for page in pages] == [
        page.extract_text() for one in kept for page in PdfReader(io.BytesIO(one.content)).pages
    ]


def test_an_object_that_is_missing_or_another_is_named_with_its_parcel(shop: Shop, store: str) -> None:
    set_labels(shop, **RULES, directory=store)
    ids = request(shop, 1)
    work(shop)
    ((path, parcel),) = rows(shop, "SELECT path, parcel_id FROM sendcloud.label_documents")
    assert path.startswith(f"{store}/sendcloud-main/{parcel}-label")
    with shop.database.connect() as connection:
        UPath(path).write_bytes(b"other")
        with pytest.raises(DataError, match=f"{path} of parcel {parcel} is not what was kept"):
            documents.read(connection, ACCOUNT, ids)
        UPath(path).unlink()
        with pytest.raises(DataError, match=rf"{ACCOUNT}: {path} of parcel {parcel} cannot be read \(there is no such object\)"):
            documents.read(connection, ACCOUNT, ids)


def test_a_store_that_fails_postpones_the_request_and_nothing_is_shipped_twice(
    shop: Shop, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError("denied to AKIA-somebody")

    set_labels(shop, **RULES, directory=store)
    request(shop, 2)
    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "pipe_file", refuse)
        assert work(shop) == LabelTotals(postponed=2)
    errors = {error for (error,) in rows(shop, "SELECT error FROM sendcloud.label_requests")}
    assert all(store in error and "PermissionError" in error and "AKIA" not in error for error in errors)
    due_now(shop)
    assert work(shop) == LabelTotals(done=2, existing=2, documents=2)
    assert len(made(shop)) == 2


@pytest.mark.usefixtures("_no_s3fs")
def test_without_the_store_s_package_no_label_is_announced(shop: Shop) -> None:
    set_labels(shop, **RULES, directory=BUCKET)
    request(shop, 2)
    with pytest.raises(ConfigError, match=r"sendcloud/main, settings.labels.directory: s3://.* run `pip install s3fs`") as raised:
        work(shop)
    assert raised.value.account == ACCOUNT
    assert not made(shop)
    assert rows(shop, "SELECT DISTINCT state, attempts FROM sendcloud.label_requests") == [("waiting", 0)]


@pytest.mark.usefixtures("_no_s3fs")
def test_the_check_names_account_field_and_fix(
    running: RunningSandbox, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ShopCli(running, database_url, tmp_path, monkeypatch, capsys, labels={"directory": BUCKET})
    found = {row["what"]: row for row in command("check", code=1)}
    assert found.pop("keep documents")["detail"].startswith(
        f"{ACCOUNT}, settings.labels.directory: {BUCKET} needs the package s3fs"
    )
    assert all(row["is_ok"] for row in found.values())


def test_what_can_be_used_needs_nothing(shop: Shop, store: str, tmp_path: Path) -> None:
    for directory, count in ((None, 0), (str(tmp_path), 1), (store, 1)):
        set_labels(shop, directory=directory)
        items = prerequisites(ACCOUNT, shop.settings)
        assert [item.is_ok for item in items] == [True] * count


def test_a_url_that_is_no_store_is_refused_where_it_is_configured() -> None:
    assert "account sendcloud/main, settings.labels.directory: ftp:// is no store" in problems("ftp://host/labels")
    assert "settings.labels.directory: names no bucket; write s3://bucket/labels" in problems("s3://")


def test_a_file_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = document_store.join(str(tmp_path / "new"), "sendcloud-main", "1-label.pdf")
    assert path == str(tmp_path / "new" / "sendcloud-main" / "1-label.pdf")
    document_store.write(ACCOUNT, path, b"first")

    def interrupted(_: int) -> None:
        assert Path(path).read_bytes() == b"first"
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", interrupted)
        with pytest.raises(OSError, match="disk full"):
            document_store.write(ACCOUNT, path, b"second")
    assert document_store.read(ACCOUNT, path) == b"first"
    document_store.write(ACCOUNT, path, b"second")
    assert document_store.read(ACCOUNT, path) == b"second"
    assert [one.name for one in Path(path).parent.iterdir()] == ["1-label.pdf"]
    document_store.remove(ACCOUNT, path)
    document_store.remove(ACCOUNT, path)
    assert not Path(path).exists()


def test_a_store_that_cannot_be_read_is_no_missing_document(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(MemoryFileSystem, "cat_file", unreachable)
    with pytest.raises(TransientError, match="ConnectionError"):
        document_store.read(ACCOUNT, document_store.join(store, "1-label.pdf"))


def test_nobody_who_keeps_no_documents_in_a_store_waits_for_its_packages() -> None:
    program = "import sys, sync_pipelines.vendors.sendcloud.vendor as _; print('upath' in sys.modules, 'fsspec' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]
