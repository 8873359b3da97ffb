"""Where a platform's contracts are: the file that joins gateways, certifier and tools to one chain."""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from eth_utils.address import is_checksum_address

from contracts.order import MarketDomain
from contracts.reading import SigningDomain
from contracts.setpoint import SetpointDomain
from contracts.split import EscrowDomain

CONTRACTS: Final = (
    "Registry",
    "Factors",
    "Ledger",
    "MarketRules",
    "Claims",
    "Escrow",
    "Market",
    "Settlement",
    "Flexibility",
    "Assessments",
    "Certificates",
)
"""The platform's contracts. The settlement token is none of them: any ERC-20 can take its place."""
TOKEN: Final = "SettlementToken"


def field_name(contract: str) -> str:
    """Name of a contract in files, for example "market_rules" of "MarketRules"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", contract).lower()


class DeploymentInvalid(ValueError):
    """The deployment file is incomplete, or does not fit the chain it is used with."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses of the platform's contracts on one chain."""

    chain_id: int
    rpc_url: str
    registry: str
    factors: str
    ledger: str
    market_rules: str
    settlement_token: str
    """The token that the escrow holds: its unit is one micro-euro."""
    claims: str
    escrow: str
    market: str
    settlement: str
    flexibility: str
    assessments: str
    certificates: str
    deployed_block: int
    """No event of the platform is older than this block."""

    @property
    def contracts(self) -> dict[str, str]:
        """Contract names by address."""
        return {self.address(name): name for name in CONTRACTS}

    def address(self, contract: str) -> str:
        """Address of a contract by name, for example "Ledger"."""
        return str(getattr(self, field_name(contract)))

    @property
    def signing_domain(self) -> SigningDomain:
        """What readings are signed for."""
        return SigningDomain(self.chain_id, self.ledger)

    @property
    def setpoint_domain(self) -> SetpointDomain:
        """What proposals of set-points are signed for."""
        return SetpointDomain(self.chain_id, self.registry)

    @property
    def market_domain(self) -> MarketDomain:
        """What orders and bilateral trades are signed for."""
        return MarketDomain(self.chain_id, self.market)

    @property
    def escrow_domain(self) -> EscrowDomain:
        """What splits of proceeds are signed for."""
        return EscrowDomain(self.chain_id, self.escrow)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Deployment":
        """Read the file. Raises DeploymentInvalid naming what is wrong, OSError."""
        try:
            content = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise DeploymentInvalid(f"{path}: not JSON: {error}") from None
        if not isinstance(content, dict):
            raise DeploymentInvalid(f"{path}: must be an object")
        expected = {field.name: field.type for field in fields(cls)}
        if missing := sorted(set(expected) - set(content)):
            raise DeploymentInvalid(
                f"{path}: lacks {', '.join(missing)}; write it with `ped contracts deploy`"
            )
        for name, kind in expected.items():
            value = content[name]
            if not isinstance(value, int if kind is int else str) or isinstance(value, bool):
                raise DeploymentInvalid(
                    f"{path}: {name} {value!r} is no {'number' if kind is int else 'text'}"
                )
        for name in map(field_name, (*CONTRACTS, TOKEN)):
            if not is_checksum_address(content[name]):
                raise DeploymentInvalid(f"{path}: {name} {content[name]!r} is no checksummed address")
        return cls(**{name: content[name] for name in expected})
