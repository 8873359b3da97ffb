"""Typed calls of Settlement.sol and Claims.sol: trades settled against certified energy (domain.md §6)."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from contracts.contract_calls import ContractCalls
from contracts.key import SigningKey
from contracts.pro_rata import Cut
from contracts.settlement import CertifiedHour, Showing
from contracts.slug import to_bytes32

_NOW = "pending"


class SettlementStatus(IntEnum):
    """Where a seller's hour stands, by the number of the contract."""

    NONE = 0
    PROVEN = 1
    """The shares stand and are being paid."""
    SETTLED = 2


@dataclass(frozen=True, slots=True)
class SellerHourState:
    """A seller's hour as of now. Field order is the contract's."""

    status: SettlementStatus
    round: int
    """1 for the settlement, 2, 3 ... for its follow-ups."""
    sold_wh: int
    certified_wh: int
    """Of this round: certified net export less external certificates; 0 for an hour that is not complete."""
    steps: int
    """Proven steps of this round."""
    paid: int
    """How many of them are paid."""
    cut: Cut


class HourClaims(NamedTuple):
    """What is claimed of a district's hour, Wh. Field order is the contract's."""

    external_wh: int
    """Declared for external certificates before gate closure; of the metered export it comes first."""
    delivered_wh: int
    """Delivered in trades."""
    attributes_out_wh: int
    """Of these, what moved with its attributes: the export falls by it."""
    attributes_in_wh: int
    """What moved in from others: the import falls by it."""
    response_wh: int
    """Demand response that counted."""


class DayAttributes(NamedTuple):
    """What an assessment of a day needs."""

    open_wh: int
    """What may still move: the day is not final while it is not 0."""
    hour_bits: int
    """Bit h: hour h has attributes moved in or out."""


class SettlementCalls(ContractCalls):
    """Settlement of sellers' hours, and the claims register."""

    def prove_shares(
        self, key: SigningKey, seller: str, hour: int, cut: Cut, shown: Showing, *, gas: int | None = None
    ) -> bytes:
        """Prove the next step of the sender's proof of an hour's shares; anyone may."""
        return self._send(key, "Settlement", "proveShares", *_hour(seller, hour), cut, *shown.abi, gas=gas)

    def pay_shares(
        self, key: SigningKey, seller: str, hour: int, shown: Showing, *, gas: int | None = None
    ) -> bytes:
        """Pay the next proven step, whose trades are shown again; anyone may."""
        return self._send(key, "Settlement", "payShares", *_hour(seller, hour), *shown.abi, gas=gas)

    def settle(
        self, key: SigningKey, seller: str, hour: int, cut: Cut, shown: Showing, *, gas: int | None = None
    ) -> bytes:
        """Prove and pay an hour whose trades fit into one transaction, or its follow-up; anyone may."""
        return self._send(key, "Settlement", "settle", *_hour(seller, hour), cut, *shown.abi, gas=gas)

    def seller_hour(self, seller: str, hour: int) -> SellerHourState:
        """A seller's hour as of now."""
        raw = self._call("Settlement", "sellerHour", *_hour(seller, hour))
        return SellerHourState(*(SettlementStatus(raw[0]), *raw[1:6], Cut(*raw[6])))

    def certified_net_export(self, district_id: str, hour: int) -> CertifiedHour:
        """What the ledger certifies of an hour as it stands now."""
        raw = self._call("Settlement", "certifiedNetExport", *_hour(district_id, hour), block=_NOW)
        return CertifiedHour(*raw)

    def attributes_moved_wh(self, trade_id: bytes) -> int:
        """Attributes that moved with a settled trade."""
        return int(self._call("Settlement", "attributesMoved", trade_id))

    def is_settled(self, seller: str, hour: int) -> bool:
        """Whether nothing of the hour remains to be settled."""
        return bool(self._call("Settlement", "isSettled", *_hour(seller, hour), block=_NOW))

    # --- Claims

    def declare_external(
        self,
        key: SigningKey,
        district_id: str,
        hour: int,
        energy_wh: int,
        evidence_hash: bytes,
        *,
        gas: int | None = None,
    ) -> bytes:
        """Declare energy of an hour to be certified elsewhere, before its gate closure. By a
        DISTRICT_OWNER."""
        arguments = *_hour(district_id, hour), energy_wh, evidence_hash
        return self._send(key, "Claims", "declareExternal", *arguments, gas=gas)

    def hour_claims(self, district_id: str, hour: int, *, block: Any = "latest") -> HourClaims:
        """What is claimed of an hour."""
        return HourClaims(*self._call("Claims", "hourClaims", *_hour(district_id, hour), block=block))

    def day_attributes(self, district_id: str, day: int, *, block: Any = "latest") -> DayAttributes:
        """What may still move on a day, and in which hours something moved."""
        return DayAttributes(*self._call("Claims", "dayAttributes", *_hour(district_id, day), block=block))

    def claim_change_days(self, district_id: str) -> list[int]:
        """Days whose attributes changed by a follow-up after they were settled, in order of the changes."""
        key = to_bytes32(district_id)
        return [
            int(self._call("Claims", "changeDay", key, index))
            for index in range(self._call("Claims", "changeCount", key))
        ]


def _hour(district_id: str, hour: int) -> tuple[bytes, int]:
    return to_bytes32(district_id), hour
