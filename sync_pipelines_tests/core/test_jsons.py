"""Numbers survive JSON to the last digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_pipelines.core.errors import ContractError
from sync_pipelines.core.jsons import decode_json, encode_json, is_json

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(documents)
def test_every_document_comes_back_as_it_went(document):
    body = encode_json(document)
    assert is_json(body)
    assert decode_json(body) == document


@pytest.mark.parametrize("text", ["19.90", "0.1", "1E+400", "-0.00", "12345678901234567890.123456789"])
def test_a_number_keeps_its_digits(text):
    number = decode_json(f"[{text}]")[0]
    assert isinstance(number, Decimal)
    assert str(number) == text
    assert encode_json([number]) == f"[{text}]".encode()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": [oops', b'{"a": 1', b'"\xff"', b'{"a": 1} x'])
def test_what_is_not_json_is_a_broken_contract_that_keeps_the_body(body):
    assert not is_json(body)
    with pytest.raises(ContractError) as caught:
        decode_json(body)
    assert caught.value.body == body


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity")])
def test_a_number_json_cannot_hold_is_refused(number):
    with pytest.raises(ValueError, match="not finite"):
        encode_json({"amount": number})
