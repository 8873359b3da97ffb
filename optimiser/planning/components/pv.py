"""Photovoltaics on planes of known area, tilt and orientation.

Symbols: `E[o,t]` irradiance on plane o, kW/m2; `A[o]` panel area, m2; `K = eta sum A` peak power, kWp;
`P[t] = eta PR sum_o A[o] E[o,t]` output, kW (MODEL.md §5.2; eta module efficiency, PR performance ratio).
Curtailed, `P[t]` is an upper bound.
"""

from pydantic import Field

from optimiser.inputs import Inputs
from optimiser.planning.components.component import Component, Size, Terms
from optimiser.planning.hourly import Hourly
from optimiser.table import Table


class Surface(Table):
    """`[[pv.surface]]`: azimuth clockwise from north, tilt from the horizontal, both in degrees."""

    name: str
    azimuth_deg: float = Field(ge=0, lt=360)
    tilt_deg: float = Field(ge=0, le=90)
    area_m2: float = Field(ge=0)
    coverage: float = Field(default=1.0, gt=0, le=1)
    """Panel area per m2 of surface (rows on a flat roof shade each other: 0.8)."""
    group: str = "pv"
    """Peak powers are shown per group."""


class Pv(Component):
    """`[pv]`."""

    surface: list[Surface] = Field(min_length=1)
    capex_eur_per_kwp: float = Field(ge=0)
    opex_eur_per_kwp_a: float = Field(default=0, ge=0)
    lifetime_years: int | None = Field(default=None, gt=0)
    module_efficiency: float = Field(default=0.19, gt=0, lt=1)
    performance_ratio: float = Field(default=0.84, gt=0, le=1)
    curtailment: bool = True

    def terms(self, name: str, hourly: Hourly, inputs: Inputs) -> Terms:
        planes = [surface for surface in self.surface if surface.area_m2 > 0]
        yields = self.module_efficiency * self.performance_ratio
        areas, potentials, groups = [], [], dict[str, list[int]]()
        for number, surface in enumerate(planes):
            areas.append(hourly.size(f"{name}_area_{number}", surface.area_m2 * surface.coverage))
            irradiance = inputs.irradiance_kw_per_m2(surface.tilt_deg, surface.azimuth_deg)
            potentials.append(hourly.series(f"{name}_yield_{number}", yields * irradiance))
            groups.setdefault(surface.group, []).append(number)
        output = hourly.flow(f"{name}_output")

        def limit(t: object) -> object:
            potential = sum(k[t] * area for k, area in zip(potentials, areas, strict=True))
            return output[t] <= potential if self.curtailment else output[t] == potential

        hourly.rows(f"{name}_output", limit)
        sizes = {
            group: Size(
                self.module_efficiency * sum(areas[number] for number in numbers),
                "kWp",
                self.capex_eur_per_kwp,
                self.opex_eur_per_kwp_a,
                self.lifetime_years,
            )
            for group, numbers in groups.items()
        }
        sizes |= {
            f"{name} panels: {surface.name}": Size(
                area, "m2", limit_name=f"surface {surface.name!r}", per_limit=surface.coverage
            )
            for surface, area in zip(planes, areas, strict=True)
        }
        flows = {f"{name}_output_kw": lambda t: output[t]}
        if self.curtailment:
            flows[f"{name}_curtailed_kw"] = lambda t: (
                sum(k[t] * area for k, area in zip(potentials, areas, strict=True)) - output[t]
            )
        return Terms(production_kw=lambda t: output[t], sizes=sizes, flows=flows)
