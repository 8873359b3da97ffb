"""A household's reading, from its meter over the chain to an auditor who sees nothing else."""

from pathlib import Path

import pytest

from contracts.disclosure import DisclosureInvalid, check, load
from contracts.hour import first_hour
from contracts.reading import unpack_private
from gateway.batches import Batches
from gateway.disclosure import NothingToDisclose, disclose_hour
from gateway.lookup import PointUnknown
from gateway.outbox import connect
from tests.gateway.test_relay import energy, post, running, where
from tests.gateway.world import DAY, World, at, ped, point, wait_until, write_config

HOMES = tuple(point(f"home-{number}", "load", private=True, salt=f"{number:02d}" * 32) for number in range(6))
HOUR = first_hour(DAY)


@pytest.fixture
def gateway_file(world: World) -> Path:
    """Configuration of a gateway whose six households' first hour is on the chain."""
    path = write_config(world.folder, HOMES)
    world.register(path)
    world.pass_time(1.1)
    with running(path) as gateway:
        receipt = post(gateway, *(energy(f"home-{number}", 0, None, 100 + number) for number in range(6)))
        assert receipt.accepted == 6
        assert gateway.relay.flush(20)
        wait_until(lambda: where(gateway, "home-0", 0)["state"] == "on chain", "the hour is on chain")
    return path


def test_one_household_is_shown_and_proven(gateway_file: Path) -> None:
    from gateway.config import load_config

    config = load_config(gateway_file)
    connection = connect(config.gateway.data)
    (batch,) = Batches(connection).live(True, DAY)
    sections = {section.hour_of_day: section for section in unpack_private(batch.payload)}
    shown = load(disclose_hour(config, connection, HOUR, ["home-3"]))
    assert [(entry.draw_wh, entry.serial) for entry in shown.readings] == [(103, None)]
    assert "1 of 6" in check(shown, sections[0])[0]
    everyone = load(disclose_hour(config, connection, HOUR, (), with_serials=True))
    assert {entry.serial for entry in everyone.readings} == {f"home-{number}" for number in range(6)}
    assert "0 Wh supply, 615 Wh draw" in check(everyone, sections[0])[1]
    with pytest.raises(DisclosureInvalid, match="does not lead"):
        check(shown, sections[0]._replace(root=bytes(32)))
    with pytest.raises(PointUnknown, match="home-9"):
        disclose_hour(config, connection, HOUR, ["home-9"])
    with pytest.raises(NothingToDisclose, match="no private batch"):
        disclose_hour(config, connection, HOUR + 1, ["home-3"])


def test_the_command_writes_the_file(gateway_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "shown.json"
    answer = ped(
        "gateway",
        "disclose",
        gateway_file,
        "--hour",
        at(0),
        "--point",
        "home-1",
        "--point",
        "home-2",
        "--out",
        out,
    )
    assert answer.returncode == 0, answer.stderr
    assert [entry.draw_wh for entry in load(out.read_bytes()).readings] in ([101, 102], [102, 101])
    refused = ped("gateway", "disclose", gateway_file, "--hour", at(5), "--out", tmp_path / "none.json")
    assert refused.returncode != 0
    assert "no private batch" in refused.stderr
    assert not (tmp_path / "none.json").exists()
