"""`gas`: what the contracts cost, whole transactions on the embedded chain, each beside its floor.

The floor is what no contract can avoid: 21,000 gas, calldata (16 a byte, 4 a zero byte), 3,000 for ecrecover,
the log (375 and 375 a topic, 8 a byte) and the storage slots that must be read or change (cold: 2,100 to
read, 5,000 to change, 22,100 to fill).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.chain import Chain, Receipt
from contracts.factor import FactorHour
from contracts.hour import day_start
from contracts.interface import Interface
from contracts.point import Kind
from contracts.reading import KindSum, PrivateBatch, PrivateSection, pack_private
from scripts.benches.laboratory import (
    DISTRICT,
    SCHEME,
    VINTAGE,
    ZONE,
    Laboratory,
    district_config,
    laboratory,
)
from scripts.benches.progress import Tell, tell_nobody
from scripts.replay.founding import GAS

READ, CHANGE, FILL, ECRECOVER, INTRINSIC = 2_100, 5_000, 22_100, 3_000, 21_000
DAY_POINTS, FEW_POINTS, MEMBERS = 12, 3, 50
FACTORS = FactorHour(2000, 2000, 2000, 2000, 400, 400)
YEAR_DAYS = 366


def calldata_gas(data: bytes) -> int:
    """Gas of calldata."""
    zeros = data.count(0)
    return 4 * zeros + 16 * (len(data) - zeros)


def measure(
    counts: Sequence[int] = (100, 500), year_days: int = YEAR_DAYS, tell: Tell = tell_nobody
) -> dict[str, Any]:
    """All figures, in gas; those per reading are rounded to the next integer.

    `counts`: points of a gateway. The verdict is asked after `year_days` final days; with fewer than a year
    it is only that the window is too short, which may cost less than the floor of a real one.
    """
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ped-bench-") as name:
        for done, count in enumerate(counts):
            tell("batches of one hour", done, len(counts))
            with laboratory(Path(name) / str(count), district_config([count, count])) as lab:
                _open(lab, count, figures)
        with laboratory(Path(name) / "district", district_config([DAY_POINTS], MEMBERS)) as lab:
            _private(lab, figures)
            _days(lab, figures)
            _verdict(lab, figures, year_days, tell)
        with laboratory(Path(name) / "few", district_config([FEW_POINTS])) as lab:
            lab.chain.mine(day_start(lab.day + 1) + 300)
            _day_batch(lab, lab.record(0, lab.day, 1, range(24)), FEW_POINTS, figures)
    return figures


def unavoidable(chain: Chain, receipt: Receipt) -> int:
    """Gas of a transaction, its calldata and its log."""
    sent = chain.request("eth_getTransactionByHash", "0x" + receipt.transaction_hash.hex())
    log = sum(375 * (1 + len(entry.topics)) + 8 * len(entry.data) for entry in receipt.logs)
    return INTRINSIC + calldata_gas(bytes.fromhex(sent["input"][2:])) + log


def _day_batch(lab: Laboratory, receipt: Receipt, points: int, figures: dict[str, Any]) -> None:
    """A batch of 24 fresh hours: each fills its slot, and so do the stream and the hash."""
    figures[f"day_batch_{points}_points_gas"] = receipt.gas_used
    figures[f"day_batch_{points}_points_gas_floor"] = unavoidable(lab.chain, receipt) + ECRECOVER + 26 * FILL


def _open(lab: Laboratory, count: int, figures: dict[str, Any]) -> None:
    """Single-hour open batch in steady state: second gateway in the hour, day already begun by both."""
    for hour in (0, 1):
        lab.chain.mine(day_start(lab.day) + 3600 * (hour + 1) + 300)
        for number in (0, 1):
            receipt = lab.record(number, lab.day, hour + 1, [hour])
    floor = unavoidable(lab.chain, receipt) + ECRECOVER + 2 * CHANGE + FILL
    figures[f"open_{count}_gas_per_reading"] = round(receipt.gas_used / count)
    figures[f"open_{count}_gas_per_reading_floor"] = round(floor / count)


def _private(lab: Laboratory, figures: dict[str, Any]) -> None:
    """Private batch of an hour for 50 homes, after the gateway's open batch of that hour."""
    setting, platform = lab.settings[0], lab.founder.platform
    lab.chain.mine(day_start(lab.day) + 2 * 3600 + 300)
    lab.record(0, lab.day, 1, [0, 1])
    for hour in (0, 1):
        section = PrivateSection(hour, bytes(31) + b"\1", (KindSum(Kind.LOAD, MEMBERS, 0, 41_000),))
        batch = PrivateBatch(setting.id, lab.day, hour + 1, 0, 0, pack_private([section]))
        signature = batch.sign(setting.key, lab.domain)
        receipt = lab.chain.wait(platform.record_private(setting.key, batch, signature, gas=GAS))
    figures["private_batch_gas"] = receipt.gas_used
    figures["private_batch_gas_floor"] = unavoidable(lab.chain, receipt) + ECRECOVER + 2 * CHANGE + FILL


def _days(lab: Laboratory, figures: dict[str, Any]) -> None:
    """A day batch of 12 points and 24 fresh hours, and the finalisation of such a day."""
    platform, accounts = lab.founder.platform, lab.founder.accounts
    (owner,) = accounts.owners.values()
    lab.founder.do(platform.open_assessment, owner, DISTRICT, SCHEME, VINTAGE, lab.day)
    for day in (lab.day, lab.day + 1):
        lab.chain.mine(day_start(day + 1) + 300)
        if day > lab.day:
            receipt = lab.record(0, day, 1, range(24))
        lab.founder.do(platform.publish_day, accounts.publisher, VINTAGE, ZONE, day, [FACTORS] * 24)
    _day_batch(lab, receipt, DAY_POINTS, figures)
    lab.chain.mine(day_start(lab.day + 9) + 300)
    identity = platform.assessment_id(DISTRICT, SCHEME, VINTAGE)
    for _ in range(2):
        receipt = lab.chain.wait(platform.finalise(accounts.caller, identity, 1, gas=GAS))
    floor = unavoidable(lab.chain, receipt) + (24 + 2) * READ + CHANGE + 2 * FILL
    figures["finalise_day_gas"] = receipt.gas_used
    figures["finalise_day_gas_floor"] = floor


def _verdict(lab: Laboratory, figures: dict[str, Any], year_days: int, tell: Tell) -> None:
    """The verdict over a year of final days, asked as a call."""
    platform, accounts = lab.founder.platform, lab.founder.accounts
    identity = platform.assessment_id(DISTRICT, SCHEME, VINTAGE)
    lab.chain.mine(day_start(lab.day + year_days + 31) + 300)
    while (final := platform.assessment(identity).frontier - lab.day) < year_days:
        tell("days made final", final, year_days)
        lab.founder.do(platform.finalise, accounts.caller, identity, 60)
    data = Interface.of("Assessments").encode_call("latestVerdict", (identity,))
    request = {
        "from": accounts.caller.address,
        "to": platform.deployment.assessments,
        "data": "0x" + data.hex(),
    }
    figures["verdict_gas"] = int(lab.chain.request("eth_estimateGas", request), 16)
    blocks, ends = 12, 2
    figures["verdict_gas_floor"] = INTRINSIC + calldata_gas(data) + (blocks + 2 * ends) * READ
