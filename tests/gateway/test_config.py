"""Configuration and command line: errors that name the place and the value."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from contracts.key import KeystoreInvalid, SigningKey
from contracts.keystore import PasswordMissing, new_key, read_secret
from contracts.point import Kind
from gateway.config import ConfigInvalid, load_config
from tests.gateway.world import GRID_AND_PV, ped, point, write_config

SALT = "0x" + "ab" * 32


def test_paths_are_relative_to_the_file_and_defaults_follow_the_kind(tmp_path: Path) -> None:
    points = (*GRID_AND_PV, point("bat", "storage"), point("gas", "gas"), point("use", "load"))
    config = load_config(write_config(tmp_path, points))
    assert config.gateway.data == tmp_path / "outbox.sqlite"
    assert config.key.keystore == tmp_path / "key.json"
    assert [entry.channels() for entry in config.points] == [
        (("1.8.0",), ("2.8.0",)),
        (("2.8.0",), ()),
        (("2.8.0",), ("1.8.0",)),
        (("1.8.0",), ()),
        ((), ("1.8.0",)),
    ]
    assert config.points[3].declaration().kind is Kind.GAS


@pytest.mark.parametrize(
    ("points", "tables", "words"),
    [
        ([point("a", "grid"), point("a", "load")], {}, "point a is listed twice"),
        ([point("a", "windmill")], {}, "'windmill'"),
        ([point("a b", "grid")], {}, "'a b'"),
        ([point("a", "grid", nameplate_w=0)], {}, "0 W is out of range"),
        ([point("a", "grid", interval_s=1800)], {}, "1800"),
        ([point("a", "grid", device="ghost")], {}, "'ghost'"),
        ([point("a", "grid", volts=230)], {}, "volts"),
        ([point("a", "load", supply=["1.8.0"])], {}, "a load supplies nothing"),
        ([point("a", "grid", supply=[], draw=[])], {}, "nothing is metered"),
        ([point("a", "grid", supply=["1.8.0"], draw=["1.8.0"])], {}, "counts once"),
        ([point("a", "load", private=True)], {}, "needs its salt"),
        ([point("a", "grid", private=True, salt=SALT)], {}, "a private point"),
        ([point("a", "grid", from_day="soon")], {}, "'soon'"),
        (GRID_AND_PV, {"gateway": {"id": "A/B", "district": "d", "data": "x"}}, "'A/B'"),
        (GRID_AND_PV, {"mqtt": {"url": "http://broker"}}, "'http://broker'"),
        (GRID_AND_PV, {"relay": {"batch_hours": 25}}, "25"),
        (GRID_AND_PV, {"http": {"port": 0, "operator_token_sha256": "secret"}}, "'secret'"),
    ],
)
def test_a_bad_configuration_names_the_place_and_the_value(
    tmp_path: Path, points: Any, tables: dict[str, Any], words: str
) -> None:
    path = write_config(tmp_path, points, **tables)
    with pytest.raises(ConfigInvalid) as caught:
        load_config(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("[gateway\n")
    with pytest.raises(ConfigInvalid, match="is not TOML"):
        load_config(path)
    result = ped("gateway", "run", path)
    assert result.returncode == 1
    assert "is not TOML" in result.stderr
    assert "Traceback" not in result.stderr


def test_keys(tmp_path: Path) -> None:
    keystore, password = tmp_path / "key.json", tmp_path / "password"
    password.write_text("correct horse\nsecond line\n")
    made = ped("gateway", "keys", "new", keystore, "--password-file", password)
    assert made.returncode == 0, made.stderr
    assert SigningKey.load(keystore, "correct horse").address == made.stdout.strip()
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        new_key(keystore, "another")
    password.write_text("wrong\n")
    shown = ped("gateway", "keys", "address", keystore, "--password-file", password)
    assert shown.returncode == 1
    assert "wrong password" in shown.stderr
    with pytest.raises(KeystoreInvalid):
        SigningKey.load(password, "x")


def test_secrets_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(PasswordMissing, match="is empty"):
        read_secret(tmp_path / "empty", None, "password")
    with pytest.raises(PasswordMissing, match="PED_NOT_SET"):
        read_secret(None, "PED_NOT_SET", "password")
    with pytest.raises(PasswordMissing, match="name a password file"):
        read_secret(None, None, "password")
    monkeypatch.setenv("PED_SET", "value")
    assert read_secret(None, "PED_SET", "password") == "value"


def test_commands_that_need_no_chain(tmp_path: Path) -> None:
    path = write_config(tmp_path, (point("m", "load", posts="register"),))
    assert "m" in ped("gateway", "check", path).stdout
    found = ped("gateway", "where", path, "--point", "m", "--hour", "2019-01-02T00:00:00Z", "--json")
    assert json.loads(found.stdout)["state"] == "unknown"
    unknown = ped("gateway", "where", path, "--point", "ghost", "--hour", "2019-01-02T00:00:00Z")
    assert (unknown.returncode, "'ghost'" in unknown.stderr) == (1, True)
    declared = ped(
        "gateway", "declare", path, "--point", "m", "--time", "2019-01-02T00:30:00Z",
        "--final-wh", "10", "--first-wh", "0", "--reason", "exchanged",
    )  # fmt: skip
    assert declared.returncode == 0, declared.stderr
    wrong = ped(
        "gateway", "declare", path, "--point", "m", "--time", "2019-01-02T00:30:00Z",
        "--final-wh", "ten", "--reason", "exchanged",
    )  # fmt: skip
    assert (wrong.returncode, "'ten' is no number" in wrong.stderr) == (1, True)
