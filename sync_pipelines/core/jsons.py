"""JSON with exact numbers: what a vendor wrote as ``19.90`` stays the decimal 19.90, on the way in and on the way out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from sync_pipelines.core.errors import ContractError

Json = Any
"""A decoded JSON value: ``dict``, ``list``, ``str``, ``int``, `Decimal`, ``bool`` or ``None``; never a float."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_syntax = msgspec.json.Decoder(msgspec.Raw)
_encoder = msgspec.json.Encoder(decimal_format="number")


def decode_json(body: bytes | str) -> Json:
    """Decodes a document; every number with a fraction or exponent becomes a `Decimal`.

    Raises:
        ContractError: The bytes are not one JSON document; the error carries them.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kept = body.encode() if isinstance(body, str) else body
        raise ContractError("the answer is not JSON", body=kept) from error


def is_json(body: bytes) -> bool:
    """Whether the bytes are one whole JSON document, without building it."""
    try:
        body.decode()
        _syntax.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def encode_json(value: Json) -> bytes:
    """Encodes a value; a `Decimal` becomes the same digits as a JSON number.

    Raises:
        ValueError: A number JSON cannot hold (NaN, Infinity).
    """
    body = _encoder.encode(value)
    if (b"NaN" in body or b"Infinity" in body) and not is_json(body):
        raise ValueError("a number that is not finite has no JSON form")
    return body
