"""What the typed calls of all contracts share: a chain and where the contracts are."""

from enum import Enum
from typing import Any

from contracts.artifacts import Artifact, artifact
from contracts.chain import Chain
from contracts.deployment import Deployment
from contracts.keccak import keccak
from contracts.key import SigningKey


class Role(Enum):
    """What an account may do; an account can have several (domain.md §1, §4)."""

    SCHEME_ADMIN = bytes(32)
    METER_OPERATOR = keccak(b"METER_OPERATOR")
    FACTOR_PUBLISHER = keccak(b"FACTOR_PUBLISHER")
    AUDITOR = keccak(b"AUDITOR")
    DISTRICT_OWNER = keccak(b"DISTRICT_OWNER")
    GRID_OPERATOR = keccak(b"GRID_OPERATOR")


class ContractCalls:
    """Base of the typed calls."""

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        self.chain = chain
        self.deployment = deployment

    @staticmethod
    def artifact(contract: str) -> Artifact:
        """The committed contract."""
        return artifact(contract)

    def _send(
        self, key: SigningKey, contract: str, function: str, *arguments: Any, gas: int | None = None
    ) -> bytes:
        address = self.deployment.address(contract)
        return self.chain.send(key, address, contract, function, *arguments, gas=gas)

    def _call(self, contract: str, function: str, *arguments: Any, block: Any = "latest") -> Any:
        address = self.deployment.address(contract)
        return self.chain.call(address, contract, function, *arguments, block=block)
