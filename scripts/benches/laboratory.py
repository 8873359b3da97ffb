"""A district of any size for the benches: configuration, an embedded chain of its own, signed batches."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.chain import Chain, Receipt
from contracts.hour import DAY_S
from contracts.key import SigningKey
from contracts.reading import OpenBatch, OpenSection, Record, SigningDomain, Status, pack_open
from scripts.replay.config import ReplayConfig
from scripts.replay.founding import GAS, Accounts, Founder
from scripts.replay.gateways import GATEWAY_USER, GatewaySetting, device_of, write_setting
from scripts.replay.processes import LOOPBACK, Supervisor, free_port, listening

FIRST_DAY = "2024-03-01"
SCHEME, VINTAGE, ZONE, DISTRICT = "total-dynamic", "first", "zone-1", "bench"


def district_config(points: Sequence[int], members: int = 0, last_day: str = FIRST_DAY) -> ReplayConfig:
    """A district whose gateway number i has `points[i]` open loads; the first also has `members` homes."""
    load = {"kind": "load", "nameplate_w": 10_000, "csv": "none.csv", "draw": "load_wh"}
    gateways = [
        {
            "id": f"gateway-{number}",
            "point": [load | {"serial": f"m-{number}-{place}"} for place in range(count)],
            "member": [load | {"serial": f"home-{place}"} for place in range(members if number == 0 else 0)],
        }
        for number, count in enumerate(points)
    ]
    technology = {"column": "grid_kw", "pef": 2, "non_renewable_pef": 2, "ghg_g_per_kwh": 400}
    return ReplayConfig.model_validate(
        {
            "title": "Bench",
            "zone": ZONE,
            "first_day": FIRST_DAY,
            "last_day": last_day,
            "scheme": {"id": SCHEME},
            "factors": {"vintage": VINTAGE, "mix": {"csv": "none.csv", "technology": [technology]}},
            "district": [{"id": DISTRICT, "name": "Bench", "gateway": gateways}],
        }
    )


@dataclass
class Laboratory:
    """A founded district on an embedded chain of its own."""

    config: ReplayConfig
    chain: Chain
    founder: Founder
    settings: list[GatewaySetting]

    @property
    def day(self) -> int:
        """The first day of the boundary."""
        return self.config.first_day_number

    @property
    def domain(self) -> SigningDomain:
        """What batches are signed for."""
        return SigningDomain(self.chain.chain_id, self.founder.platform.deployment.ledger)

    def open_batch(
        self, number: int, day: int, sequence: int, hours: Sequence[int], replaces: int = 0
    ) -> tuple[OpenBatch, bytes]:
        """A signed batch of gateway `number`: every point measured something in `hours` of `day`."""
        setting = self.settings[number]
        count = len(setting.table.point)
        sections = [
            OpenSection(
                hour,
                tuple(
                    Record(Status.MEASURED, 0, 1 + (31 * point + 7 * hour) % 9_999) for point in range(count)
                ),
            )
            for hour in hours
        ]
        batch = OpenBatch(setting.id, day, sequence, replaces, pack_open(sections))
        return batch, batch.sign(setting.key, self.domain)

    def record(self, number: int, day: int, sequence: int, hours: Sequence[int]) -> Receipt:
        """Bring such a batch to the ledger."""
        key: SigningKey = self.settings[number].key
        batch = self.open_batch(number, day, sequence, hours)
        return self.chain.wait(self.founder.platform.record_open(key, *batch, gas=GAS))


@contextmanager
def laboratory(folder: Path, config: ReplayConfig) -> Iterator[Laboratory]:
    """Start an embedded chain in `folder` and found the district on it."""
    port = free_port()
    genesis = datetime.fromtimestamp(config.start_s - 3 * DAY_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [
        *(sys.executable, "-m", "scripts.command_line", "chain", "serve"),
        *("--data", str(folder / "chain"), "--port", str(port), "--genesis-time", genesis),
    ]
    with Supervisor(folder / "logs") as supervisor:
        supervisor.start("chain", command, lambda: listening(port))
        chain = Chain(f"http://{LOOPBACK}:{port}", gas_price_wei=0)
        founder = Founder(chain, Accounts(), folder / "deployment.json")
        settings = [
            write_setting(
                folder / "gateways",
                config,
                district,
                table,
                1883,
                0,
                folder / "deployment.json",
                {device_of(table): "", GATEWAY_USER: ""},
            )
            for district in config.district
            for table in district.gateway
        ]
        founder.register(config, settings)
        yield Laboratory(config, chain, founder, settings)
