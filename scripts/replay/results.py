"""What a replay leaves behind for each district: `balances.csv`, `certificate.json` and the proof bundle.

Everything is read from the certifier's projection, once it has followed the chain to its last block, and the
bundle is verified offline as an auditor would. Energies are Wh, factors 1/1000, balances mWh of primary
energy (Wh times a factor in 1/1000), GHG mg CO2e (domain.md §2 to §4).
"""

import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from certifier.certificates import certificate
from certifier.evidence import certificate_bundle
from certifier.queries import alarms, hour_balances, status
from certifier.store import Store
from certifier.views import Certificate, HourBalance, Verdict
from contracts.chain import Chain
from contracts.deployment import Deployment
from contracts.hour import first_hour, format_time_utc
from contracts.verification import Report, verify
from scripts.replay.case import Case
from scripts.replay.world import World

FOLLOW_TIMEOUT_S = 120.0

COLUMNS = (
    "production_wh",
    "consumption_wh",
    "import_wh",
    "export_wh",
    "charge_wh",
    "discharge_wh",
    "import_load_wh",
    "import_storage_wh",
    "import_rest_wh",
    "imbalance_wh",
    "carriers_bought_wh",
    "carriers_delivered_wh",
    "average_factor_permille",
    "marginal_factor_permille",
    "export_factor_permille",
    "balance_mwh_pe",
    "lower_mwh_pe",
    "upper_mwh_pe",
    "ghg_mg",
    "ghg_lower_mg",
    "ghg_upper_mg",
    "complete",
    "bound_row",
)


class FollowerLate(TimeoutError):
    """The certifier did not reach the chain's last block in time."""


@dataclass(frozen=True)
class DistrictResult:
    """A district's outcome and where its files are."""

    district_id: str
    name: str
    certificate: Certificate
    verdict: Verdict | None
    report: Report
    """What the proof bundle proves."""
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """For `--json`: names and figures, no prose."""
        verdict = self.verdict
        return {
            "district": self.district_id,
            "certificate_number": self.certificate.certificate_number,
            "status": self.certificate.status,
            "valid": self.certificate.valid,
            "finding": verdict.finding if verdict else None,
            "balance_mwh_pe": verdict.balance_mwh_pe if verdict else None,
            "bundle_verified": True,
            "folder": str(self.folder),
        }


def wait_until_followed(store: Store, chain: Chain, timeout_s: float = FOLLOW_TIMEOUT_S) -> None:
    """Wait until the projection holds the chain's newest block. Raises FollowerLate."""
    head, deadline = chain.head(), time.monotonic() + timeout_s
    while True:
        with store.read() as connection:
            found = status(connection)
        if (found.followed_block_number or 0) >= head and not found.pending_checks:
            return
        if time.monotonic() > deadline:
            raise FollowerLate(
                f"the certifier is at block {found.followed_block_number} of {head} after {timeout_s:g} s"
                + (f": {found.problem}" if found.problem else "")
            )
        time.sleep(0.05)


def collect(world: World, cases: Sequence[Case], out: Path) -> tuple[list[DistrictResult], list[str]]:
    """Write every district's files below `out`; gives the results and the certifier's alarms in words.

    Raises FollowerLate, BundleUnavailable, VerificationFailed.
    """
    store = Store(world.database_url)
    try:
        wait_until_followed(store, world.chain)
        with store.read() as connection:
            results = [_district(world, connection, case, out) for case in cases]
            raised = [f"{alarm.subject}: {alarm.explanation}" for alarm in alarms(connection)]
    finally:
        store.close()
    return results, raised


def _district(world: World, connection: Connection, case: Case, out: Path) -> DistrictResult:
    folder = out / case.district.id
    folder.mkdir(parents=True, exist_ok=True)
    start = first_hour(world.config.first_day_number)
    end = first_hour(world.config.first_day_number + world.config.day_count)
    hours = hour_balances(connection, case.district.id, start, end, "0x" + case.assessment_id.hex())
    with (folder / "balances.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("time_utc", *COLUMNS))
        writer.writerows(_rows(hours))

    deployment = Deployment.load(world.deployment)
    bundle = certificate_bundle(connection, world.chain, deployment, case.certificate_id)
    (folder / "bundle.json").write_bytes(bundle)
    report = verify(bundle)

    found = certificate(connection, case.certificate_id)
    document = {
        **found.model_dump(mode="json"),
        "chain_id": report.chain_id,
        "block_number": report.block_number,
        "block_hash": report.block_hash,
        "certificates_contract": report.certificates,
        "bundle": "bundle.json",
    }
    (folder / "certificate.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return DistrictResult(case.district.id, case.district.name, found, found.verdict, report, folder)


def _rows(hours: Sequence[HourBalance]) -> Iterator[tuple[Any, ...]]:
    """Flows as the rule nets them (domain.md §2): grid points, and charge and discharge, within the hour."""
    for hour in hours:
        stored_wh = hour.charge_wh - hour.discharge_wh
        yield (
            format_time_utc(int(hour.start_time_utc.timestamp())),
            hour.production_wh,
            hour.consumption_wh,
            max(0, -hour.net_export_wh),
            max(0, hour.net_export_wh),
            max(0, stored_wh),
            max(0, -stored_wh),
            hour.import_load_wh,
            hour.import_storage_wh,
            hour.import_rest_wh,
            hour.imbalance_wh,
            sum(carrier.bought_wh for carrier in hour.carriers),
            sum(carrier.delivered_wh for carrier in hour.carriers),
            hour.average_factor,
            hour.marginal_factor,
            hour.export_factor,
            hour.balance_mwh_pe,
            hour.lower_mwh_pe,
            hour.upper_mwh_pe,
            hour.ghg_mg,
            hour.ghg_lower_mg,
            hour.ghg_upper_mg,
            int(hour.complete),
            hour.bound_row,
        )
