"""The reference pages say what is true now."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_pipelines import reference

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(("name", "text"), reference.pages().items(), ids=list(reference.pages()))
def test_the_committed_page_is_what_the_declarations_say(name: str, text: str) -> None:
    assert (DOCS / name).read_text() == text, "run make docs and commit the pages"


def test_every_setting_is_told() -> None:
    rows = [line for line in reference.configuration().splitlines() if line.startswith(("| `", "| *"))]
    assert len(rows) > 100
    assert not [row for row in rows if row.count("|") < 5]
    assert reference.undescribed() == []
