"""Typed calls of MarketRules.sol: what the market's participants can rely on (domain.md §§6, 7)."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.contract_calls import ContractCalls
from contracts.key import SigningKey
from contracts.slug import to_bytes32, to_text

_NOW = "pending"

IMBALANCE_S = 5 * 86_400
"""Default time after the end of a day until which its imbalance prices come."""


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """The rules that are fixed at deployment. Field order is the contract's."""

    publisher_org: str
    """Organisation whose factor publishers publish imbalance prices and holidays."""
    gate_closure_s: int = 3600
    """A book closes so long before its hour begins."""
    clearing_s: int = 3600
    """An outcome must stand so long after gate closure, else the book is void; at most `gate_closure_s`."""
    imbalance_s: int = IMBALANCE_S
    """Imbalance prices of a day come at most so long after its end; at most the ledger's finality."""
    bond_micro_eur_per_kwh: int = 500_000
    """beta: what a seller puts up per kWh, and the most that a missing kWh costs it."""
    sensitivity_wh: int = 100
    """A demand response below it counts as none."""
    tolerance_bp: int = 200
    """Conservation tolerance of an hour, 1/10,000 of the larger side."""
    tolerance_wh: int = 50
    """Conservation tolerance that always applies."""

    @classmethod
    def with_defaults(cls, publisher_org: str, finality_s: int) -> "MarketTerms":
        """The defaults, with imbalance prices due no later than a day's finality."""
        return cls(publisher_org, imbalance_s=min(IMBALANCE_S, finality_s))

    @property
    def most_micro_eur_per_kwh(self) -> int:
        """Highest limit price of an order: above it the bond could not deter from a shortfall."""
        return 10 * self.bond_micro_eur_per_kwh

    @property
    def abi(self) -> tuple[bytes | int, ...]:
        """As the contract takes them. Raises IdentifierInvalid."""
        return (
            to_bytes32(self.publisher_org),
            self.gate_closure_s,
            self.clearing_s,
            self.imbalance_s,
            self.bond_micro_eur_per_kwh,
            self.sensitivity_wh,
            self.tolerance_bp,
            self.tolerance_wh,
        )


class MarketRulesCalls(ContractCalls):
    """The market's rules, imbalance prices and holidays."""

    def publish_imbalance(
        self, key: SigningKey, first_hour: int, prices: Sequence[int], *, gas: int | None = None
    ) -> bytes:
        """Publish imbalance prices, micro-euro per kWh, of consecutive hours of one day, once. By a factor
        publisher of the rules' publisher organisation, after the hours and before the deadline."""
        return self._send(key, "MarketRules", "publishImbalance", first_hour, list(prices), gas=gas)

    def publish_holidays(
        self, key: SigningKey, year: int, holidays: Sequence[int], *, gas: int | None = None
    ) -> bytes:
        """Fix the holidays (days since 1970) of a year, once, before it begins. By the same."""
        return self._send(key, "MarketRules", "publishHolidays", year, list(holidays), gas=gas)

    def market_terms(self) -> MarketTerms:
        """The rules."""
        publisher, *numbers = self._call("MarketRules", "terms")
        return MarketTerms(to_text(publisher), *numbers)

    def gate_closes_at(self, hour: int) -> int:
        """Unix seconds at which the books of an hour close."""
        return int(self._call("MarketRules", "closesAt", hour))

    def cleared_by(self, hour: int) -> int:
        """Unix seconds from which a book of an hour without an outcome is void."""
        return int(self._call("MarketRules", "clearedBy", hour))

    def imbalance_price(self, hour: int) -> int | None:
        """Micro-euro per kWh; None while it can still be published, the bond rate when it never was."""
        known, price = self._call("MarketRules", "imbalancePrice", hour, block=_NOW)
        return int(price) if known else None

    def is_rest_day(self, day: int) -> bool:
        """Whether a day is a Saturday, a Sunday or a published holiday."""
        return bool(self._call("MarketRules", "isRestDay", day))
