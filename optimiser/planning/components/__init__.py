"""The components of a district. `component.py` says how to add one."""

from optimiser.planning.components.battery import Battery
from optimiser.planning.components.component import Component
from optimiser.planning.components.load import Load
from optimiser.planning.components.pv import Pv

COMPONENTS: dict[str, type[Component]] = {"load": Load, "pv": Pv, "battery": Battery}
"""TOML table -> component. A table may be an array (`[[battery]]`): each entry then has a `name`."""
