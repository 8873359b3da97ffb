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


def test_the_baselines_cover_what_a_baseline_can_be() -> None:
    baselines = json.loads(files()["baselines.json"])
    made = [count != "0" for count in baselines["baselineCount"]]
    assert 10 < sum(made) < len(made)
    for method in "01":
        for increase in "01":
            kinds = zip(baselines["method"], baselines["increase"], made, strict=True)
            assert (method, increase, True) in list(kinds)
    assert any(
        count == "0" and int(days) >= 5
        for count, days in zip(baselines["baselineCount"], baselines["dayCount"], strict=True)
    ), "hidden hours"
    assert any(int(days) < 5 for days in baselines["dayCount"])
    assert min(map(int, baselines["baselineWh"])) < 0 < max(map(int, baselines["baselineWh"]))


def test_the_books_cover_what_a_clearing_can_be() -> None:
    books = json.loads(files()["clearing.json"])
    assert (books["volumeWh"][0], books["priceMicroEurPerKwh"][0]) == ("6", "9")
    assert (books["bidCount"][1], books["offerCount"][1]) == ("0", "0")
    assert books["volumeWh"].count("0") >= 3
    nobody = str(2**128 - 1)
    for side in ("bid", "offer"):
        assert "0" in books[f"{side}Count"][2:4], "one-sided"
        assert any(
            wanted != rest != "0"
            for wanted, rest in zip(books[f"{side}MarginWh"], books[f"{side}RestWh"], strict=True)
        )
        assert sum(fraction != nobody for fraction in books[f"{side}CutFraction"]) >= 5
    assert any(
        price == "0" and volume != "0"
        for price, volume in zip(books["priceMicroEurPerKwh"], books["volumeWh"], strict=True)
    )
    assert max(map(int, books["volumeWh"])) > 2**32
