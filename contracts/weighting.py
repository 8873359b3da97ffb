"""What weighs the hours of an assessment, read from the Factors contract's storage (domain.md §3)."""

from typing import Final

from contracts.energy import CarrierFactor, HourFactors, Weights
from contracts.factor import unpack_day
from contracts.hour import DAY_S, HOURS_PER_DAY, day_start, format_day
from contracts.point import CARRIERS
from contracts.records import FactsInvalid, Scheme
from contracts.slug import to_bytes32
from contracts.storage import ContractStorage, StateReader

_PUBLICATION_S: Final = 30 * DAY_S


class Weighting:
    """What weighs the hours of an assessment (domain.md §3)."""

    def __init__(
        self,
        factors: ContractStorage,
        reader: StateReader,
        scheme: Scheme,
        vintage_id: str,
        zone: str,
        now_s: int,
    ) -> None:
        self._factors = factors
        self._reader = reader
        self._scheme = scheme
        self._vintage_key = to_bytes32(vintage_id)
        self._zone_key = to_bytes32(zone)
        self._now_s = now_s
        self._column = "NonRenewable" if scheme.non_renewable else "Total"
        self._carriers = self._carrier_factors(self._column)
        self._ghg_carriers = self._carrier_factors("Ghg")

    def expect(self, days: range) -> None:
        """Announce that the factors of these days will be read."""
        if not self._scheme.is_static:
            self._factors.expect("_days", [(self._vintage_key, self._zone_key, day) for day in days])

    def day(self, day: int) -> tuple[list[Weights], list[Weights]]:
        """Weights of a day's 24 hours for primary energy and for GHG."""
        primary, ghg = self._static() if self._scheme.is_static else self._dynamic(day)
        return (
            [Weights(factors, self._scheme.primary_range, self._carriers) for factors in primary],
            [Weights(factors, self._scheme.ghg_range, self._ghg_carriers) for factors in ghg],
        )

    def _static(self) -> tuple[list[HourFactors], list[HourFactors]]:
        static = self._factors.members("_electricity", self._vintage_key)
        primary = HourFactors.static(static[f"import{self._column}"], static[f"export{self._column}"])
        ghg = HourFactors.static(static["importGhg"], static["exportGhg"])
        return [primary] * HOURS_PER_DAY, [ghg] * HOURS_PER_DAY

    def _dynamic(self, day: int) -> tuple[list[HourFactors], list[HourFactors]]:
        published = self._published(day)
        if published is None:
            primary = HourFactors.least_favourable(self._scheme.primary_range)
            ghg = HourFactors.least_favourable(self._scheme.ghg_range)
            return [primary] * HOURS_PER_DAY, [ghg] * HOURS_PER_DAY
        hours = unpack_day(published)
        return [hour.primary(self._scheme.non_renewable) for hour in hours], [hour.ghg() for hour in hours]

    def _carrier_factors(self, column: str) -> tuple[CarrierFactor, ...]:
        return tuple(
            CarrierFactor(
                self._factors.read("_carriers", self._vintage_key, index, f"bought{column}"),
                self._factors.read("_carriers", self._vintage_key, index, f"export{column}"),
            )
            for index in range(len(CARRIERS))
        )

    def _published(self, day: int) -> bytes | None:
        """The day's 288 bytes from the vintage or its nearest ancestor; None when they are lacking."""
        place = f"factors of {format_day(day)}"
        vintage_key = self._vintage_key
        while any(vintage_key):
            pointer = self._factors.read_bytes("_days", vintage_key, self._zone_key, day)
            if any(pointer):
                return stored(self._reader, pointer, place)
            created = self._factors.read("_vintages", vintage_key, "createdAt")
            deadline = max(day_start(day + 1), created) + _PUBLICATION_S
            if day >= self._factors.read("frontier", vintage_key, self._zone_key) and self._now_s <= deadline:
                raise FactsInvalid(place, "are neither published nor lacking yet")
            vintage_key = self._factors.read_bytes("_vintages", vintage_key, "parent")
        return None


def stored(reader: StateReader, pointer: bytes, place: str) -> bytes:
    """Bytes kept as the code of a contract, without the STOP byte before them."""
    code = reader.code(pointer, place)
    if not code or code[0] != 0:
        raise FactsInvalid(place, f"0x{pointer.hex()} holds no stored bytes")
    return code[1:]
