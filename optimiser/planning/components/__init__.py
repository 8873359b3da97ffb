"""The components of a district. `component.py` says how to add one."""

from optimiser.planning.components.battery import Battery
from optimiser.planning.components.boiler import Boiler
from optimiser.planning.components.building import Building
from optimiser.planning.components.component import Component
from optimiser.planning.components.demand import CoolingDemand, HeatDemand
from optimiser.planning.components.flexible_load import FlexibleLoad
from optimiser.planning.components.heat_pump import HeatPump
from optimiser.planning.components.load import Load
from optimiser.planning.components.pv import Pv
from optimiser.planning.components.thermal_store import ThermalStore
from optimiser.planning.components.vehicles import Vehicles

COMPONENTS: dict[str, type[Component]] = {
    "load": Load,
    "flexible_load": FlexibleLoad,
    "heat_demand": HeatDemand,
    "cooling_demand": CoolingDemand,
    "building": Building,
    "pv": Pv,
    "battery": Battery,
    "vehicles": Vehicles,
    "heat_pump": HeatPump,
    "boiler": Boiler,
    "thermal_store": ThermalStore,
}
"""TOML table -> component. A table may be an array (`[[battery]]`): each entry then has a `name`."""
