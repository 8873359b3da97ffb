"""The shared vectors are what this Python computes now, and they cover what they should."""

import json
from collections import Counter

from tests.vectors.generate import FOLDER, files


def test_the_committed_vectors_are_current() -> None:
    made = files()
    assert sorted(path.name for path in FOLDER.glob("*.json")) == sorted(made)
    for name, content in made.items():
        assert (FOLDER / name).read_text("utf-8") == content, f"{name}: run python -m tests.vectors.generate"


def test_the_hours_cover_every_row_and_both_signs() -> None:
    hours = json.loads(files()["hours.json"])
    assert min(Counter(hours["row"]).values()) >= 30
    assert set(hours["row"]) == set("12345")
    assert {"0"} < set(hours["balance"])
    assert any(int(value) > 0 for value in hours["lower"])
    assert any(int(value) < 0 for value in hours["upper"])
    assert {"0", "1"} == set(hours["conserved"]) == set(hours["loadMetered"]) == set(hours["primaryLacking"])
