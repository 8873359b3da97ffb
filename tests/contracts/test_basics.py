"""Identifiers, points, hours and days: what everything else counts on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.hour import (
    TimeInvalid,
    day_of,
    day_of_hour,
    day_start,
    first_hour,
    format_day,
    format_hour_utc,
    format_time_utc,
    hour_of,
    hour_of_day,
    hour_start,
    parse_day,
    parse_hour_utc,
    parse_time_utc,
)
from contracts.point import CARRIERS, Kind, PointDeclaration, PointInvalid, cap_wh
from contracts.slug import IdentifierInvalid, is_serial, is_slug, serial_to_bytes32, to_bytes32, to_text

times = st.integers(0, 2**32 - 1)


@given(st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True))
def test_a_slug_survives_its_32_bytes(text: str) -> None:
    word = to_bytes32(text)
    assert len(word) == 32
    assert to_text(word) == text
    assert serial_to_bytes32(text) == word


@given(st.text(max_size=40))
def test_only_slugs_and_serials_have_32_bytes(text: str) -> None:
    for fits, convert in ((is_slug(text), to_bytes32), (is_serial(text), serial_to_bytes32)):
        if fits:
            assert to_text(convert(text)) == text
        else:
            with pytest.raises(IdentifierInvalid):
                convert(text)


@pytest.mark.parametrize("text", ["", "Harbour", "a/b", "a b", "ä", "a\n", "x" * 33])
def test_what_is_no_slug_is_named(text: str) -> None:
    with pytest.raises(IdentifierInvalid) as refused:
        to_bytes32(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "word", [bytes(32), b"a" + bytes(30) + b"b", b"\xff" * 32, b"short", b"a/b".ljust(32, b"\0")]
)
def test_bytes_that_hold_no_identifier_are_refused(word: bytes) -> None:
    with pytest.raises(IdentifierInvalid):
        to_text(word)


@given(times)
def test_hours_and_days_divide_time(time_s: int) -> None:
    hour, day = hour_of(time_s), day_of(time_s)
    assert hour_start(hour) <= time_s < hour_start(hour + 1)
    assert day_start(day) <= time_s < day_start(day + 1)
    assert (day_of_hour(hour), first_hour(day) + hour_of_day(hour)) == (day, hour)


@given(times)
def test_times_survive_their_text(time_s: int) -> None:
    text = format_time_utc(time_s)
    assert parse_time_utc(text) == time_s
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(time_s, UTC)
    assert parse_hour_utc(format_hour_utc(hour_of(time_s))) == hour_of(time_s)
    assert parse_day(format_day(day_of(time_s))) == day_of(time_s)


def test_an_offset_is_honoured_and_demanded() -> None:
    assert parse_time_utc("2019-07-01T02:00:00+02:00") == parse_time_utc("2019-07-01T00:00:00Z")
    for text, named in (
        ("2019-07-01T02:00:00", "no offset"),
        ("2019-07-01T02:00:00.5Z", "between two seconds"),
        ("yesterday", "'yesterday' is not ISO 8601"),
    ):
        with pytest.raises(TimeInvalid, match=named):
            parse_time_utc(text)
    with pytest.raises(TimeInvalid, match="not the start of an hour"):
        parse_hour_utc("2019-07-01T02:15:00Z")
    with pytest.raises(TimeInvalid, match="2019-02-29"):
        parse_day("2019-02-29")


def test_kinds_say_what_they_are() -> None:
    assert [kind.carrier for kind in CARRIERS] == list(range(1, 9))
    with pytest.raises(PointInvalid, match="GRID"):
        _ = Kind.GRID.carrier
    private = {kind.name for kind in Kind if kind.may_be_private}
    assert private == {"GENERATION", "STORAGE", "LOAD", *(kind.name for kind in CARRIERS)}


@given(st.integers(1, 2**31))
def test_a_cap_is_a_tenth_above_nameplate_rounded_down(nameplate_w: int) -> None:
    assert 0 <= nameplate_w * 11 - 10 * cap_wh(nameplate_w) < 10


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"serial": "a b"}, "'a b'"),
        ({"nameplate_w": 0}, "nameplate 0 W"),
        ({"nameplate_w": 1_952_257_862}, "nameplate 1952257862 W"),
        ({"efficiency_permille": 1001}, "1001/1000"),
        ({"register_digits": 19}, "19 register digits"),
    ],
)
def test_an_impossible_point_is_refused_with_its_value(changed: dict[str, object], named: str) -> None:
    fine: dict[str, object] = {"serial": "M-1", "kind": Kind.GRID, "nameplate_w": 1_952_257_861}
    PointDeclaration(**fine)  # type: ignore[arg-type]
    with pytest.raises(PointInvalid, match=named):
        PointDeclaration(**{**fine, **changed})  # type: ignore[arg-type]
