"""Small cases whose series are plain numbers, made without files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from optimiser.case import Case, make_case
from optimiser.factors import HourlyFactors, Weights
from optimiser.inputs import Inputs
from optimiser.series import Period
from optimiser.weather import Location, Sky, Weather

HOUR_S = 3600
DOCUMENT: dict[str, Any] = {
    "title": "Small",
    "first_day": "2019-06-01",
    "economy": {"years": 1, "interest": 0.0},
    "factors": {"kind": "static", "static": {"import_pef": 2, "export_pef": 2, "import_ghg_kg_per_kwh": 0.5}},
    "grid": {"buy": {"value": 0.2}, "sell": {"value": 0.05}},
    "load": {"series": {"value": 10}},
}


def small_case(days: int = 1, **tables: Any) -> Case:
    """A case of a few days, each of which stands for a whole year; `tables` replace those of DOCUMENT."""
    return make_case({**DOCUMENT, "days": days, **tables}, Path(), "small")


def small_inputs(
    case: Case,
    series: Mapping[tuple[str, str], Sequence[float] | float],
    irradiance_w_m2: Sequence[float] | float = 0.0,
    average: Sequence[float] | float = 2.0,
    marginal: Sequence[float] | float = 2.0,
) -> Inputs:
    """Inputs of a case: irradiance is diffuse, so that a horizontal plane sees exactly that."""
    period = case.period

    def spread(values: Sequence[float] | float) -> Any:
        return np.array(np.broadcast_to(np.asarray(values, float), (period.steps,)))

    pef = Weights(spread(average), spread(marginal), spread(marginal))
    ghg = Weights(0.2 * pef.import_load, 0.2 * pef.import_storage, 0.2 * pef.export)
    weather = Weather(spread(irradiance_w_m2), spread(0.0), spread(irradiance_w_m2), spread(20.0), 30.0)
    sky = Sky(
        weather, Location(latitude_deg=40, longitude_deg=15), Period(period.start_s, period.steps, HOUR_S), ""
    )
    return Inputs(
        period,
        HourlyFactors(pef, ghg, ghg.import_load),
        sky,
        {key: spread(values) for key, values in series.items()},
    )


def prices(
    buy: Sequence[float] | float = 0.2, sell: Sequence[float] | float = 0.05
) -> dict[tuple[str, str], Sequence[float] | float]:
    """The grid's series."""
    return {("grid", "buy_eur_per_kwh"): buy, ("grid", "sell_eur_per_kwh"): sell}


def flat_pv(area_m2: float, capex_eur_per_kwp: float = 0.0, **settings: Any) -> dict[str, Any]:
    """A `[pv]` of one horizontal surface: 1 m2 is 0.1 kWp, and 1,000 W/m2 give 0.1 kW per m2."""
    return {
        "capex_eur_per_kwp": capex_eur_per_kwp,
        "module_efficiency": 0.1,
        "performance_ratio": 1.0,
        "surface": [{"name": "roof", "azimuth_deg": 180, "tilt_deg": 0, "area_m2": area_m2}],
        **settings,
    }
