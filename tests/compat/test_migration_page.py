"""`docs/migrate-from-flask.md` shows the settings in which the two profiles of defaults differ."""

from __future__ import annotations

import re
from pathlib import Path

from carboy.config import default_config

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "migrate-from-flask.md").read_text()


def test_the_table_of_defaults_is_the_profiles() -> None:
    flask, carboy = default_config("flask"), default_config("carboy")
    differing = {
        key: (repr(flask[key]), repr(carboy[key])) for key in flask if flask[key] != carboy[key]
    }
    rows = re.findall(r"^\| `([A-Z_]+)`[^|]*\| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.MULTILINE)
    assert {key: (of_flask, of_carboy) for key, of_flask, of_carboy in rows} == differing


def test_each_page_that_it_names_is_there() -> None:
    pages = re.findall(r"\]\(([\w-]+\.md)\)", PAGE)
    assert len(pages) >= 4
    assert [page for page in pages if not (DOCS / page).is_file()] == []
