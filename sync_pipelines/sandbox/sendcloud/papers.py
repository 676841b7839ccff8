"""Labels and other papers: real, tiny PDF, ZPL and PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from sync_pipelines.sandbox.sendcloud.catalogue import ANNOUNCEMENT_FAILED, ANNOUNCING, NO_LABEL
from sync_pipelines.sandbox.sendcloud.generate import Parcel, Shipping

A4, A5, A6 = (595, 842), (420, 595), (298, 420)
PAPER = {"A4": A4, "A5": A5, "A6": A6}
MEDIA_TYPES = ("application/pdf", "application/zpl", "image/png")
WITHOUT_LABEL = {NO_LABEL, ANNOUNCING, ANNOUNCEMENT_FAILED}


def has_label(parcel: Parcel) -> bool:
    """Whether a label exists."""
    return parcel.status not in WITHOUT_LABEL


def label_of(shipping: Shipping, parcels: Sequence[Parcel], media_type: str, *, size: tuple[int, int] = A6) -> bytes:
    """The labels of some parcels of one shipment in one file."""
    return paper([f"{shipping.order_name} {parcel.id} {parcel.tracking_number}" for parcel in parcels], media_type, size=size)


def paper(pages: Sequence[str], media_type: str, *, size: tuple[int, int] = A6) -> bytes:
    """One page for each text."""
    if media_type == "application/zpl":
        return "".join(f"^XA^FO40,40^A0N,30,30^FD{text}^FS^XZ\n" for text in pages).encode()
    return _png() if media_type == "image/png" else _pdf(pages, size)


def _pdf(pages: Sequence[str], size: tuple[int, int]) -> bytes:
    """A PDF 1.4 file with a correct cross-reference table."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        escaped = text.encode("ascii", "replace").decode().replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        content = f"BT /F1 12 Tf 20 {size[1] - 40} Td ({escaped}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    body, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    tail = f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + tail.encode()


def _png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"IEND", b"")
