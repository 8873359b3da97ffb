"""The platform's contracts on one chain, as typed calls.

```
deployment = deploy_platform(chain, admin, "authority", "PED Authority")
platform = Platform(chain, deployment)
chain.wait(platform.register_district(admin, "harbour", "zone-1", "owner", "operator"))
found = platform.latest_verdict(platform.assessment_id("harbour", "scheme", "vintage"))
```

A method that writes takes the sender's key first and returns the transaction's hash (see `Chain.send` and
`Chain.wait` for what is raised); one that reads returns the value. `gas` spares the node's estimate.
Identifiers are slugs.
"""

from collections.abc import Sequence
from typing import Any, Final

import rlp
from eth_utils.address import to_checksum_address

from contracts.assessment_calls import AssessmentCalls
from contracts.certificate_calls import CertificateCalls
from contracts.chain import Chain
from contracts.chain_data import Log
from contracts.deployment import CONTRACTS, TOKEN, Deployment, DeploymentInvalid, field_name
from contracts.escrow_calls import EscrowCalls
from contracts.event_decoder import EventDecoder
from contracts.events import Event
from contracts.factor_calls import FactorCalls
from contracts.hour import DAY_S
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.ledger_calls import LedgerCalls
from contracts.market_calls import MarketCalls
from contracts.market_rules_calls import MarketRulesCalls, MarketTerms
from contracts.registry_calls import RegistryCalls
from contracts.response_calls import ResponseCalls
from contracts.settlement_calls import SettlementCalls
from contracts.slug import to_bytes32

FINALITY_S: Final = 7 * DAY_S
"""Default time after the end of a day until it is final (domain.md §4)."""
_LINKS: Final = {
    "Claims": ("Registry", "Ledger", "MarketRules", "Market", "Settlement", "Flexibility"),
    "Escrow": (TOKEN, "Registry", "Market", "Settlement", "Flexibility"),
    "Market": ("Registry", "MarketRules", "Escrow", "Claims"),
    "Settlement": ("Registry", "Ledger", "MarketRules", "Escrow", "Claims", "Market"),
    "Flexibility": ("Registry", "Ledger", "MarketRules", "Escrow", "Claims", "Settlement"),
    "Assessments": ("Registry", "Factors", "Ledger", "Claims"),
    "Certificates": ("Registry", "Assessments"),
}
"""Contracts whose constructor takes the addresses of others and nothing else."""

_ORDER: Final = ("Registry", "Factors", "Ledger", "MarketRules", TOKEN, *_LINKS)
"""Order of creation."""


def deploy_platform(
    chain: Chain,
    admin: SigningKey,
    organisation_id: str,
    organisation_name: str,
    *,
    finality_s: int = FINALITY_S,
    terms: MarketTerms | None = None,
    token: str | None = None,
    gas: int | None = None,
) -> Deployment:
    """Create the contracts. `admin` becomes the scheme administrator, of the organisation named.

    Each names those that it believes, for good. Some name each other, so the addresses are predicted from the
    sender's nonce, and checked as the contracts come: the sender must do nothing else meanwhile.

    `terms` are the rules of the market, by default those of `MarketTerms`. Their publisher is the
    organisation named, as no other exists yet: its accounts with the role FACTOR_PUBLISHER publish.
    `token` is the address of an ERC-20 whose unit is one micro-euro; without it a token for test networks is
    made, which scheme administrators mint. Raises DeploymentInvalid when the sender did something else,
    ValueError for a token that is no address, and as `Chain.deploy` does.
    """
    terms = terms or MarketTerms.with_defaults(organisation_id, finality_s)
    organisation = to_bytes32(organisation_id)
    first_block, nonce = chain.head() + 1, chain.nonce(admin.address)
    names = [name for name in _ORDER if name != TOKEN or token is None]
    at = {name: _created(admin.address, nonce + place) for place, name in enumerate(names)}
    if token is not None:
        at[TOKEN] = to_checksum_address(token)
    arguments: dict[str, tuple[Any, ...]] = {
        "Registry": (admin.address, organisation, organisation_name),
        "Factors": (at["Registry"],),
        "Ledger": (at["Registry"], finality_s),
        "MarketRules": (at["Registry"], at["Ledger"], terms.abi),
        TOKEN: (at["Registry"],),
        **{name: tuple(at[link] for link in links) for name, links in _LINKS.items()},
    }
    for name in names:
        address = chain.deploy(admin, name, *arguments[name], gas=gas)
        if address != at[name]:
            raise DeploymentInvalid(
                f"{name} was created at {address}, not at {at[name]}: account {admin.address} sent something "
                "else meanwhile; deploy anew with an account that does nothing else"
            )
    return Deployment(
        chain_id=chain.chain_id,
        rpc_url=chain.url,
        deployed_block=first_block,
        **{field_name(name): address for name, address in at.items()},
    )


def _created(sender: str, nonce: int) -> str:
    """Address of the contract that an account's transaction creates."""
    encoded: bytes = rlp.encode([bytes.fromhex(sender[2:]), nonce])
    return str(to_checksum_address(keccak(encoded)[12:]))


class Platform(
    RegistryCalls,
    FactorCalls,
    LedgerCalls,
    AssessmentCalls,
    CertificateCalls,
    MarketRulesCalls,
    EscrowCalls,
    MarketCalls,
    SettlementCalls,
    ResponseCalls,
):
    """The platform's contracts. May be used from several threads."""

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        """Raises DeploymentInvalid when the chain is not the one of the deployment."""
        if chain.chain_id != deployment.chain_id:
            raise DeploymentInvalid(
                f"the chain at {chain.url} has id {chain.chain_id}, but the deployment is of chain "
                f"{deployment.chain_id}"
            )
        super().__init__(chain, deployment)
        self._decoder = EventDecoder(deployment.contracts)

    @property
    def addresses(self) -> list[str]:
        """Addresses of the contracts, to filter logs with."""
        return [self.deployment.address(name) for name in CONTRACTS]

    def event(self, log: Log) -> Event | None:
        """The event in a log; None for one that is not of this platform or not listed in
        `contracts.events`."""
        return self._decoder.decode(log)

    def events(self, logs: Sequence[Log]) -> list[Event]:
        """The platform's events in a receipt's or block's logs, in order."""
        return [event for event in map(self._decoder.decode, logs) if event is not None]

    def require_code(self) -> None:
        """Raise DeploymentInvalid unless the chain holds exactly the committed contracts at these
        addresses."""
        for name in CONTRACTS:
            if problem := self.code_problem(name):
                raise DeploymentInvalid(f"{name} at {self.deployment.address(name)}: {problem}")

    def code_problem(self, contract: str, block: Any = "latest") -> str:
        """Why the code on chain is not the committed contract; empty when it is."""
        code = self.chain.code(self.deployment.address(contract), block)
        if not code:
            return "there is no contract"
        return (
            "" if self.artifact(contract).matches(code) else "the code is not that of the committed contract"
        )
