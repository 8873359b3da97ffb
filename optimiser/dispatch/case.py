"""The case file of `ped dispatch run`: the input tables of a planning case, and one table `[dispatch]`.

From the planning case (`optimiser/case.py`): `title`, `first_day`, `days`, `interval_s`, `[factors]`,
`[grid]` (prices), `[load]`, and `[location]` and `[weather]` where panels or heat pumps need them.
`[dispatch]` holds what runs:

    [dispatch]
    horizon_h = 48                  # look-ahead
    # generation = { csv = "...", column = "pv_kW" }   # instead of panels: what was or would be generated
    [[dispatch.panels]]
    kwp = 270
    tilt_deg = 28.803
    azimuth_deg = 180
    [[dispatch.battery]]
    capacity_kwh = 200
    charge_kw = 60
    discharge_kw = 60
    [dispatch.grid]                 # import_kw, export_kw, capacity_eur_per_kw
    [dispatch.price]                # ceiling_eur_per_kwh_pe, confidence

also `[[dispatch.vehicles]]`, `[[dispatch.heat_pump]]`, `[[dispatch.shiftable]]` and
`[dispatch.penalties]`: `devices.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from optimiser.case import Case, CaseError, make_case
from optimiser.dispatch.devices import DeviceSettings, Positive, Table
from optimiser.dispatch.price import PriceSettings
from optimiser.dispatch.state import Outlook
from optimiser.forecast import Site
from optimiser.forecast.grid import HOUR_S
from optimiser.inputs import Inputs, Source, Store, read_inputs
from optimiser.series import Quantity, SeriesSetting
from optimiser.table import explained, read_toml


class Panels(Table):
    """Photovoltaics in one plane; azimuth clockwise from north."""

    kwp: Positive
    tilt_deg: float = Field(default=0.0, ge=0, le=90)
    azimuth_deg: float = Field(default=180.0, ge=0, lt=360)
    performance_ratio: float = Field(default=0.84, gt=0, le=1)


class DispatchTable(DeviceSettings):
    """`[dispatch]`."""

    horizon_h: int = Field(default=48, ge=2, le=168)
    time_limit_s: Positive = 10.0
    panels: tuple[Panels, ...] = ()
    generation: SeriesSetting | None = None
    price: PriceSettings = PriceSettings()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.panels and self.generation is not None:
            raise ValueError("give either panels or a series of generation, not both")
        return self


@dataclass(frozen=True)
class DispatchCase:
    """A case ready to run."""

    title: str
    settings: DispatchTable
    truth: Outlook
    site: Site | None
    """Where the largest panels stand; without, generation is forecast from the last days alone."""

    @property
    def horizon(self) -> int:
        """Steps of the horizon."""
        return self.settings.horizon_h * HOUR_S // self.truth.step_s


def load_dispatch_case(path: Path) -> DispatchCase:
    """Read a case and its series. Raises CaseError, SeriesError and InputMissing, naming the place and the
    value."""
    return make_dispatch_case(read_toml(path, CaseError), path.parent, str(path))


def make_dispatch_case(document: dict[str, Any], folder: Path, origin: str = "case") -> DispatchCase:
    """A case from a TOML document. Raises as `load_dispatch_case`."""
    tables = dict(document)
    table = tables.pop("dispatch", None)
    if table is None:
        raise CaseError(
            f"{origin}: [dispatch] is missing; it says which devices run (optimiser/dispatch/case.py)"
        )
    try:
        settings = DispatchTable.model_validate(table)
    except ValidationError as error:
        raise CaseError(explained(origin, error, "dispatch")) from None
    case = make_case(tables, folder, origin)
    store = Store()
    inputs = read_inputs(case, store)
    return DispatchCase(case.title, settings, _truth(case, inputs, settings, store), _site(case, settings))


def _truth(case: Case, inputs: Inputs, settings: DispatchTable, store: Store) -> Outlook:
    loads = [values for (_, name), values in inputs.series.items() if name == "load_kw"]
    if not loads:
        raise CaseError("the case has no load: add [load] with a series")
    generation = np.zeros(inputs.steps)
    if settings.generation is not None:
        source = Source(case.folder, case.period, store)
        generation = generation + source.series(settings.generation, Quantity.POWER, "dispatch.generation")
    for panels in settings.panels:
        plane = inputs.irradiance_kw_per_m2(panels.tilt_deg, panels.azimuth_deg)
        generation = generation + panels.kwp * panels.performance_ratio * plane
    factors = inputs.factors.primary_energy
    truth = Outlook(
        start_s=case.period.start_s,
        step_s=case.period.interval_s,
        load_kw=np.sum(loads, axis=0),
        pv_kw=generation,
        buy_eur_per_kwh=inputs.of("grid", "buy_eur_per_kwh"),
        sell_eur_per_kwh=inputs.of("grid", "sell_eur_per_kwh"),
        pef_average=factors.import_load,
        pef_import=factors.import_storage,
        pef_export=factors.export,
        outdoor_degc=inputs.temperature_degc() if settings.heat_pump else np.zeros(inputs.steps),
        method="measured",
    )
    truth.require_usable()
    return truth


def _site(case: Case, settings: DispatchTable) -> Site | None:
    if case.location is None or not settings.panels:
        return None
    largest = max(settings.panels, key=lambda panels: panels.kwp)
    place = case.location
    return Site(
        place.latitude_deg, place.longitude_deg, place.altitude_m, largest.tilt_deg, largest.azimuth_deg
    )
