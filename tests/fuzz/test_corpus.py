"""The kept corpus of the fuzzers, replayed: what was once found stays mended."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from .seeds import SEEDS
from .targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"

#: What these inputs may become, besides the one word that every target knows.
ONE_OUTCOME = {"header-values", "signed-url"}


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    """A target without inputs would fuzz nothing."""
    assert set(SEEDS) == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_breaks_a_promise(name: str) -> None:
    """Each target holds for its seeds and for the inputs that its fuzzer has found."""
    function = TARGETS[name]
    kept = sorted((CORPUS / name).iterdir()) if (CORPUS / name).is_dir() else []
    inputs = [*SEEDS[name], *(path.read_bytes() for path in kept)]
    outcomes = Counter(map(function, inputs))
    assert len(outcomes) > 1 or name in ONE_OUTCOME or next(iter(outcomes)) in ("round", "equal")
