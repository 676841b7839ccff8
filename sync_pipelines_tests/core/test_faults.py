"""What is written down about a record that cannot be stored."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from sync_pipelines.core.faults import describe


class Order(BaseModel):
    """An order with a part whose keys come from the data."""

    id: int
    notes: dict[str, int]


def test_a_fault_names_the_field_but_neither_its_value_nor_a_key_out_of_the_data() -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({"id": "private-1", "notes": {"ana@example.com": "private-2"}})
    assert describe(raised.value).text == "id: int_parsing; notes.*: int_parsing"
