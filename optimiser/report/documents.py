"""A plan as JSON and CSV."""

import json
import math
from collections.abc import Mapping
from typing import Any

from optimiser.planning.plan import Nearest, Plan, Quantity


def plan_document(plan: Plan) -> dict[str, Any]:
    """Everything but the hourly flows; what has no value is null."""
    return {
        "title": plan.title,
        "profile": plan.profile,
        "formula": plan.formula,
        "status": str(plan.status),
        "npv_eur": _finite(plan.npv_eur),
        "bound_eur": _finite(plan.bound_eur),
        "gap": _finite(plan.gap),
        "solver_s": round(plan.seconds, 3),
        "explanation": list(plan.explanation),
        "sizes": _sizes(plan.sizes),
        "yearly_mwh": dict(plan.yearly_mwh),
        "indicators": {
            entry.identifier: {"value": _finite(entry.value), "unit": entry.unit, "formula": entry.formula}
            for entry in plan.indicators
        },
        "duals": [
            {"name": dual.name, "value": dual.value, "unit": dual.unit, "sentence": dual.sentence}
            for dual in plan.duals
        ],
        "cash_flow_eur": list(plan.cash_flow_eur),
        "nearest": None if plan.nearest is None else _nearest(plan.nearest),
    }


def _nearest(nearest: Nearest) -> dict[str, Any]:
    return {
        "limit": nearest.limit,
        "now": nearest.now,
        "needed": nearest.needed,
        "unit": nearest.unit,
        "npv_eur": nearest.npv_eur,
        "bound_eur": nearest.bound_eur,
        "sizes": _sizes(nearest.sizes),
    }


def _sizes(sizes: Mapping[str, Quantity]) -> dict[str, Any]:
    return {name: {"value": size.value, "unit": size.unit} for name, size in sizes.items()}


def to_json(plan: Plan) -> str:
    """One JSON object."""
    return json.dumps(plan_document(plan), indent=2, allow_nan=False, ensure_ascii=False)


def to_csv(plan: Plan) -> str:
    """The hourly flows; a unit ends each column's name."""
    return str(plan.flows.to_csv(float_format="%.6f", date_format="%Y-%m-%dT%H:%MZ", lineterminator="\n"))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
