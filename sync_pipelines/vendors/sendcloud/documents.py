"""Labels and customs papers: kept once, found again, merged into one print file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from sync_pipelines.core.errors import DataError
from sync_pipelines.vendors.sendcloud import document_store
from sync_pipelines.vendors.sendcloud.client import File

PDF = "application/pdf"
_SUFFIX = {PDF: ".pdf", "application/zpl": ".zpl", "image/png": ".png"}


@dataclass(frozen=True, slots=True)
class Document:
    """A kept document."""

    parcel_id: int
    kind: str
    media_type: str
    content: bytes


def keep(
    connection: Connection[Any],
    account: str,
    parcel: int,
    kind: str,
    file: File,
    *,
    request_id: int | None,
    directory: str | None,
) -> None:
    """Stores a document, in the row or, with a ``directory`` or the URL of one, as a file or object the row names.

    Raises:
        ConfigError: The package of the URL's store is not installed.
        TransientError: The store did not take it.
    """
    path = None
    if directory is not None:
        name = f"{parcel}-{kind}{_SUFFIX.get(file.media_type, '')}"
        path = document_store.join(directory, account.replace("/", "-"), name)
        document_store.write(account, path, file.content)
    connection.execute(
        "INSERT INTO sendcloud.label_documents"
        " (account, parcel_id, kind, media_type, content, path, size, sha256, fetched_at, request_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), %s)"
        " ON CONFLICT (account, parcel_id, kind) DO UPDATE SET"
        " media_type = excluded.media_type, content = excluded.content, path = excluded.path, size = excluded.size,"
        " sha256 = excluded.sha256, fetched_at = excluded.fetched_at, request_id = excluded.request_id",
        [
            account,
            parcel,
            kind,
            file.media_type,
            None if path else file.content,
            path,
            len(file.content),
            hashlib.sha256(file.content).digest(),
            request_id,
        ],
    )


def read(connection: Connection[Any], account: str, requests: Sequence[int], *, kind: str = "label") -> list[Document]:
    """Documents of requests, in the order of the requests given.

    Raises:
        DataError: A file or object is missing or is not what was kept.
        ConfigError: The package of a document's store is not installed.
        TransientError: The store did not answer, or refused.
    """
    rows = connection.execute(
        "SELECT parcel_id, kind, media_type, content, path, sha256 FROM sendcloud.label_documents"
        " WHERE account = %s AND request_id = ANY(%s) AND kind = %s ORDER BY array_position(%s, request_id), parcel_id",
        [account, list(requests), kind, list(requests)],
    ).fetchall()
    documents = []
    for parcel, found_kind, media_type, content, path, digest in rows:
        try:
            data = content if content is not None else document_store.read(account, path)
        except OSError as error:
            raise DataError(f"{account}: {path} of parcel {parcel} cannot be read ({error.strerror})", account=account) from error
        if hashlib.sha256(data).digest() != digest:
            raise DataError(f"{account}: {path or 'the document'} of parcel {parcel} is not what was kept", account=account)
        documents.append(Document(parcel, found_kind, media_type, data))
    return documents


def merge(documents: Iterable[Document]) -> bytes:
    """All pages of PDF documents as one file, in their order.

    Raises:
        DataError: One of them is not a PDF, or there are none.
    """
    from pypdf import PdfReader, PdfWriter
    from pypdf.errors import PyPdfError

    writer = PdfWriter()
    count = 0
    for document in documents:
        if document.media_type != PDF:
            raise DataError(f"the {document.kind} of parcel {document.parcel_id} is {document.media_type}; only PDF can be merged")
        try:
            writer.append(PdfReader(io.BytesIO(document.content)))
        except PyPdfError as error:
            raise DataError(f"the {document.kind} of parcel {document.parcel_id} is not a readable PDF") from error
        count += 1
    if not count:
        raise DataError("there are no documents to merge")
    merged = io.BytesIO()
    writer.write(merged)
    return merged.getvalue()
