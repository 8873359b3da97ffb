"""What a run cost and what it was worth in primary energy: whole Wh through the certified rule
(`contracts.energy`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pandas as pd

from contracts.energy import (
    BoundarySummary,
    FactorRange,
    HourFactors,
    HourSums,
    Tolerance,
    VehicleDay,
    Weights,
    assess_hour,
)
from optimiser.dispatch.devices import DeviceSettings
from optimiser.dispatch.plant import WH_PER_KWH, StepFlows
from optimiser.dispatch.state import Outlook
from optimiser.forecast.grid import DAY_S, HOUR_S

PERMILLE: Final = 1000
MWH_PE_PER_KWH_PE: Final = 1_000_000
_BOUNDARY: Final = BoundarySummary(open_points=0, members=0, load_metered=True, grid_cap_wh=0)
_RANGE: Final = FactorRange(0, 65_535)
_NO_GHG: Final = Weights(HourFactors(0, 0, 0), _RANGE)


@dataclass
class Account:
    """Adds up the steps of a run."""

    devices: DeviceSettings
    truth: Outlook
    bill_eur: float = 0.0
    """Purchases minus sales."""
    worn_eur: float = 0.0
    capacity_eur: float = 0.0
    balance_mwh_pe: int = 0
    """E of the hours and vehicle days that are closed (domain.md §4), 1/1,000,000 kWh_PE."""
    missed_kwh: float = 0.0
    discomfort_k_h: float = 0.0
    over_limit_kwh: float = 0.0
    hourly: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Per closed hour: start (Unix s), import Wh, export Wh, E mWh_PE."""
    _sums: HourSums = field(default_factory=HourSums)
    _vehicles: VehicleDay = field(default_factory=VehicleDay)
    _day_factor: int = 0
    _peaks_kw: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def cost_eur(self) -> float:
        """Purchases minus sales, wear, and capacity charges."""
        return self.bill_eur + self.worn_eur + self.capacity_eur

    @property
    def balance_kwh_pe(self) -> float:
        """E of the closed hours and days, kWh_PE."""
        return self.balance_mwh_pe / MWH_PE_PER_KWH_PE

    def add(self, step: int, flows: StepFlows) -> None:
        """One step; closes its hour and its day when they end with it."""
        truth = self.truth
        self.bill_eur += float(truth.buy_eur_per_kwh[step]) * flows.import_wh / WH_PER_KWH
        self.bill_eur -= float(truth.sell_eur_per_kwh[step]) * flows.export_wh / WH_PER_KWH
        self.worn_eur += flows.worn_eur
        self.missed_kwh += flows.missed_kwh
        self.discomfort_k_h += flows.discomfort_k_h
        self.over_limit_kwh += flows.over_limit_kwh
        self._add_peak(flows)
        sums = self._sums
        self._sums = HourSums(
            import_wh=sums.import_wh + flows.import_wh,
            export_wh=sums.export_wh + flows.export_wh,
            production_wh=sums.production_wh + flows.production_wh,
            consumption_wh=sums.consumption_wh + flows.consumption_wh,
            charge_wh=sums.charge_wh + flows.charge_wh,
            discharge_wh=sums.discharge_wh + flows.discharge_wh,
        )
        self._vehicles = VehicleDay(
            self._vehicles.discharge_wh + flows.vehicle_discharge_wh,
            self._vehicles.weighted_charge + flows.vehicle_weighted_charge,
        )
        imported = _permille(truth.pef_import[step])
        self._day_factor = max(self._day_factor, imported)
        end_s = flows.time_s + truth.step_s
        if end_s % HOUR_S == 0:
            self._close_hour(step, end_s - HOUR_S, imported)
        if end_s % DAY_S == 0:
            self.balance_mwh_pe -= self._vehicles.excess_wh * self._day_factor
            self._vehicles, self._day_factor = VehicleDay(), 0

    def _close_hour(self, step: int, start_s: int, imported: int) -> None:
        truth = self.truth
        factors = HourFactors(_permille(truth.pef_average[step]), imported, _permille(truth.pef_export[step]))
        assessed = assess_hour(self._sums, _BOUNDARY, Tolerance(), Weights(factors, _RANGE), _NO_GHG)
        self.balance_mwh_pe += assessed.balance_mwh_pe
        flows = assessed.flows
        self.hourly.append((start_s, flows.import_wh, flows.export_wh, assessed.balance_mwh_pe))
        self._sums = HourSums()

    def _add_peak(self, flows: StepFlows) -> None:
        price = self.devices.grid.capacity_eur_per_kw
        if price <= 0:
            return
        time = pd.Timestamp(flows.time_s, unit="s", tz="UTC")
        month = (time.year, time.month)
        import_kw = flows.import_wh / WH_PER_KWH / self.truth.hours
        before = self._peaks_kw.get(month, 0.0)
        self._peaks_kw[month] = max(before, import_kw)
        self.capacity_eur += price * (self._peaks_kw[month] - before)


def _permille(factor: float) -> int:
    return int(factor * PERMILLE + 0.5)
