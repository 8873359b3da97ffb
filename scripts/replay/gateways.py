"""What the gateways of a replay are told: TOML files, keystores and salts in the output folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.hour import DAY_S
from contracts.key import SigningKey
from contracts.point import Kind
from scripts.replay.config import DistrictTable, GatewayTable, PointTable, ReplayConfig

PASSWORD = "replay"
"""Protects keys that sign nothing but this replay; a real gateway's password is a secret."""
KEYSTORE_ITERATIONS = 4096
GATEWAY_USER = "gateway"
"""The gateways of a district at its broker."""


@dataclass(frozen=True)
class GatewaySetting:
    """One gateway of the replay. `salts` are those of its private points, by serial, 32 bytes."""

    district: DistrictTable
    table: GatewayTable
    key: SigningKey
    salts: dict[str, bytes]
    config: Path
    http_port: int
    device_password: str

    @property
    def id(self) -> str:
        """Slug of the gateway."""
        return self.table.id

    @property
    def device(self) -> str:
        """Slug of its one device: a data logger that posts every point."""
        return device_of(self.table)

    @property
    def points(self) -> list[PointTable]:
        """Open points, then private ones."""
        return [*self.table.point, *self.table.member]


def device_of(table: GatewayTable) -> str:
    """Slug of a gateway's data logger."""
    return f"{table.id[:25]}-logger"


def write_setting(
    folder: Path,
    config: ReplayConfig,
    district: DistrictTable,
    table: GatewayTable,
    mqtt_port: int,
    http_port: int,
    deployment: Path,
    passwords: Mapping[str, str],
) -> GatewaySetting:
    """Make a gateway's key, salts and configuration in `folder`; `passwords` are the broker's, by user."""
    folder.mkdir(parents=True, exist_ok=True)
    key = SigningKey.generate()
    (folder / f"{table.id}.password").write_text(PASSWORD + "\n", "utf-8")
    key.save(folder / f"{table.id}.json", PASSWORD, KEYSTORE_ITERATIONS)
    salts = {member.serial: os.urandom(32) for member in table.member}
    device = device_of(table)
    setting = GatewaySetting(
        district, table, key, salts, folder / f"{table.id}.toml", http_port, passwords[device]
    )
    broker_password = folder / f"{table.id}.broker-password"
    broker_password.write_text(passwords[GATEWAY_USER] + "\n", "utf-8")
    document: dict[str, Any] = {
        "gateway": {"id": table.id, "district": district.id, "data": f"{table.id}.sqlite"},
        "key": {"keystore": f"{table.id}.json", "password_file": f"{table.id}.password"},
        "chain": {"deployment": str(deployment), "clock": "chain"},
        "mqtt": {
            "url": f"mqtt://127.0.0.1:{mqtt_port}",
            "user": GATEWAY_USER,
            "password_file": broker_password.name,
            "version": "3.1.1",
        },
        "http": {"port": http_port},
        "relay": {
            "batch_hours": 24,
            "max_age_s": 3600,
            "patience_s": DAY_S,
            "poll_s": 0.15,
            "minimum_members": district.minimum_members,
        },
        "devices": [{"id": setting.device}],
        "points": [_point(setting, point, config.interval_s) for point in setting.points],
    }
    setting.config.write_text(to_toml(document), "utf-8")
    return setting


def codes(point: PointTable) -> tuple[str | None, str | None]:
    """OBIS registers of supply and draw, None for a direction that the point does not meter.

    A meter counts as 1.8.0 what it lets in: into the district at the grid and for a carrier, else into
    the asset.
    """
    kind = point.declaration().kind
    inwards = kind is Kind.GRID or kind.is_carrier
    whole = point.series == "difference"
    return (
        ("1.8.0" if inwards else "2.8.0") if whole or point.supply else None,
        ("2.8.0" if inwards else "1.8.0") if whole or point.draw else None,
    )


def _point(setting: GatewaySetting, point: PointTable, interval_s: int) -> dict[str, Any]:
    declaration = point.declaration()
    supply, draw = codes(point)
    entry: dict[str, Any] = {
        "serial": point.serial,
        "kind": declaration.kind.name.lower(),
        "nameplate_w": point.nameplate_w,
        "device": setting.device,
        "posts": "register" if point.is_register else "energy",
        "interval_s": interval_s,
        "supply": [supply] if supply else [],
        "draw": [draw] if draw else [],
        "register_digits": declaration.register_digits,
        "efficiency_permille": declaration.efficiency_permille,
        "capacity_wh": declaration.capacity_wh,
        "renewable": declaration.renewable,
    }
    if point.serial in setting.salts:
        entry |= {"private": True, "salt": setting.salts[point.serial].hex()}
    return entry


def to_toml(document: dict[str, Any]) -> str:
    """The few shapes of TOML that a gateway's configuration has."""
    tables = {name: value for name, value in document.items() if isinstance(value, dict)}
    lists = {name: value for name, value in document.items() if isinstance(value, list)}
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(_assignment(key, value) for key, value in table.items()), ""]
    for name, entries in lists.items():
        for entry in entries:
            lines += [f"[[{name}]]", *(_assignment(key, value) for key, value in entry.items()), ""]
    return "\n".join(lines)


def _assignment(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value)}"
