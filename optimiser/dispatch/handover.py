"""A Pyomo model handed to HiGHS once; afterwards only its numbers change in the live solver object.

Every number that will change is an element of a mutable Pyomo Param and stands alone in its place (a cost, a
bound, a right-hand side, a coefficient), times a constant if need be. `LiveModel` finds these places when it
hands the model over, and `set` writes to them. Nothing is built again, and the solver starts from the last
basis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import highspy
import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.visitor import identify_mutable_parameters
from pyomo.repn import generate_standard_repn

from optimiser.forecast.grid import Floats, Integers

INFINITY: Final = highspy.kHighsInf
OPTIMAL: Final = highspy.HighsModelStatus.kOptimal


class StatementInvalid(ValueError):
    """A model that cannot be kept alive: a changing number does not stand alone."""


class SolveFailed(RuntimeError):
    """The solver gave no optimum; the message is its status."""


@dataclass
class _Places:
    """Where the elements of one Param stand: element, row or column, scale, constant. `kind` tells what
    they are."""

    element: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    constant: list[float] = field(default_factory=list)


class LiveModel:
    """A linear model in HiGHS whose Params can be set; continuous, or with some binaries for one solve."""

    def __init__(self, model: pyo.ConcreteModel, solver: str = "simplex") -> None:
        """Raises StatementInvalid for a changing number that is not a constant times one Param element."""
        self._names: set[str] = set()
        self._columns: dict[str, slice] = {}
        self._rows: dict[str, slice] = {}
        self._elements: dict[int, tuple[str, int]] = {}
        self._places: dict[tuple[str, str], _Places] = {}
        self._frozen: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._objective = 0.0
        self.highs = highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("threads", 1)
        self.highs.setOptionValue("solver", solver)
        self._hand_over(model)

    # -- building ------------------------------------------------------------------------------------------

    def _hand_over(self, model: pyo.ConcreteModel) -> None:
        for parameter in model.component_objects(pyo.Param, active=True):
            self._names.add(parameter.name)
            for place, element in enumerate(parameter.values()):
                self._elements[id(element)] = (parameter.name, place)
        column_of: dict[int, int] = {}
        for variable in model.component_objects(pyo.Var, active=True):
            first = len(column_of)
            for element in variable.values():
                column_of[id(element)] = len(column_of)
            self._columns[variable.name] = slice(first, len(column_of))
        count = len(column_of)
        self.lower, self.upper = np.full(count, -INFINITY), np.full(count, INFINITY)
        for variable in model.component_objects(pyo.Var, active=True):
            for element in variable.values():
                column = column_of[id(element)]
                for bound, kind, values in (
                    (element.lower, "lower", self.lower),
                    (element.upper, "upper", self.upper),
                ):
                    if bound is not None:
                        values[column] = self._number(bound, kind, column)
        costs = np.zeros(count)
        (objective,) = model.component_objects(pyo.Objective, active=True)
        repn = generate_standard_repn(objective.expr, compute_values=False)
        for variable, coefficient in zip(repn.linear_vars, repn.linear_coefs, strict=True):
            costs[column_of[id(variable)]] = self._number(coefficient, "cost", column_of[id(variable)])
        row_lower: list[float] = []
        row_upper: list[float] = []
        starts, indices, entries = [0], [], []
        for constraint in model.component_objects(pyo.Constraint, active=True):
            first = len(row_lower)
            for element in constraint.values():
                row = len(row_lower)
                repn = generate_standard_repn(element.body, compute_values=False)
                if not repn.is_linear() or identify(repn.constant) or pyo.value(repn.constant):
                    raise StatementInvalid(
                        f"{element.name} is not linear, or has a constant on its left side"
                    )
                for bound, kind, rows in (
                    (element.lower, "row_lower", row_lower),
                    (element.upper, "row_upper", row_upper),
                ):
                    absent = -INFINITY if kind == "row_lower" else INFINITY
                    rows.append(absent if bound is None else self._number(bound, kind, row))
                for variable, coefficient in zip(repn.linear_vars, repn.linear_coefs, strict=True):
                    indices.append(column_of[id(variable)])
                    entries.append(self._number(coefficient, "entry", row, indices[-1]))
                starts.append(len(indices))
            self._rows[constraint.name] = slice(first, len(row_lower))
        self.row_lower, self.row_upper = np.array(row_lower), np.array(row_upper)
        problem = highspy.HighsLp()
        problem.num_col_, problem.num_row_ = count, len(row_lower)
        problem.col_cost_ = costs
        problem.col_lower_, problem.col_upper_ = self.lower.copy(), self.upper.copy()
        problem.row_lower_, problem.row_upper_ = self.row_lower.copy(), self.row_upper.copy()
        problem.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        problem.a_matrix_.start_ = np.array(starts, dtype=np.int32)
        problem.a_matrix_.index_ = np.array(indices, dtype=np.int32)
        problem.a_matrix_.value_ = np.array(entries, dtype=np.float64)
        if self.highs.passModel(problem) == highspy.HighsStatus.kError:
            raise StatementInvalid(f"HiGHS refuses the model {model.name}")
        for key, places in self._places.items():
            self._frozen[key] = (
                np.array(places.element, dtype=np.int64),
                np.array(places.at, dtype=np.int32),
                np.array(places.column, dtype=np.int32),
                np.array(places.scale),
                np.array(places.constant),
                np.full(len(places.at), np.nan),
            )

    def _number(self, expression: Any, kind: str, at: int, column: int = -1) -> float:
        """Value of a number; one that changes is remembered with its place."""
        found = identify(expression)
        if not found:
            return float(pyo.value(expression))
        if len(found) > 1:
            raise StatementInvalid(
                f"{expression} mixes {len(found)} changing numbers; put one Param in its place"
            )
        (parameter,) = found
        before = parameter.value
        samples = []
        for sample in (0.0, 1.0, 3.0):
            parameter.set_value(sample)
            samples.append(float(pyo.value(expression)))
        parameter.set_value(before)
        constant, scale = samples[0], samples[1] - samples[0]
        if abs(samples[2] - constant - 3 * scale) > 1e-9 * max(1.0, abs(scale)):
            raise StatementInvalid(f"{expression} is not a constant times one Param")
        name, element = self._elements[id(parameter)]
        places = self._places.setdefault((name, kind), _Places())
        places.element.append(element)
        places.at.append(at)
        places.column.append(column)
        places.scale.append(scale)
        places.constant.append(constant)
        return float(pyo.value(expression))

    # -- changing ------------------------------------------------------------------------------------------

    def set(self, name: str, values: Floats | float) -> None:
        """Give the elements of a Param new values (one for all, or one each); infinite bounds are allowed."""
        if name not in self._names:
            raise KeyError(f"the model has no Param {name!r}")
        for kind in ("cost", "lower", "upper", "row_lower", "row_upper", "entry"):
            frozen = self._frozen.get((name, kind))
            if frozen is None:
                continue
            element, at, column, scale, constant, last = frozen
            flat = np.asarray(values, dtype=np.float64).ravel()
            new = constant + scale * (
                flat[element] if flat.size > 1 else np.full(element.size, flat[0] if flat.size else 0.0)
            )
            changed = np.flatnonzero(new != last)
            if not changed.size:
                continue
            last[changed] = new[changed]
            places, numbers = at[changed], new[changed]
            if kind == "cost":
                self.highs.changeColsCost(places.size, places, numbers)
            elif kind == "entry":
                for row, col, number in zip(
                    places.tolist(), column[changed].tolist(), numbers.tolist(), strict=True
                ):
                    self.highs.changeCoeff(row, col, number)
            elif kind in ("lower", "upper"):
                (self.lower if kind == "lower" else self.upper)[places] = numbers
                self.highs.changeColsBounds(places.size, places, self.lower[places], self.upper[places])
            else:
                (self.row_lower if kind == "row_lower" else self.row_upper)[places] = numbers
                self.highs.changeRowsBounds(
                    places.size, places, self.row_lower[places], self.row_upper[places]
                )

    # -- solving -------------------------------------------------------------------------------------------

    def solve(self, time_limit_s: float) -> Floats:
        """Optimum of the columns. Raises SolveFailed with the solver's status: infeasible, unbounded, time
        limit."""
        if time_limit_s <= 0:
            raise SolveFailed(f"time limit of {time_limit_s} s")
        # the simplex method counts from the first run of the object, the search of `improve` from its own
        self.highs.setOptionValue("time_limit", self.highs.getRunTime() + time_limit_s)
        self.highs.run()
        status = self.highs.getModelStatus()
        if status != OPTIMAL:
            raise SolveFailed(self.highs.modelStatusToString(status).lower())
        self._objective = float(self.highs.getInfo().objective_function_value)
        return np.asarray(self.highs.getSolution().col_value, dtype=np.float64)

    def improve(
        self, start: Floats, binaries: Integers, nodes: int, time_limit_s: float
    ) -> tuple[Floats, float, float] | None:
        """Search with `binaries` (columns) as integers, from a feasible point: columns, objective and its
        bound.

        None when nothing better was found. The columns are continuous again afterwards, and the last basis
        is back.
        """
        highs, count = self.highs, binaries.size
        columns, basis, before = binaries.astype(np.int32), highs.getBasis(), self._objective
        highs.changeColsIntegrality(count, columns, np.ones(count, dtype=np.uint8))
        try:
            highs.setOptionValue("time_limit", time_limit_s)
            highs.setOptionValue("mip_max_nodes", nodes)
            solution = highspy.HighsSolution()
            solution.col_value = start.tolist()
            highs.setSolution(solution)
            highs.run()
            info = highs.getInfo()
            feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
            if not feasible or info.objective_function_value >= before - 1e-9:
                return None
            self._objective = float(info.objective_function_value)
            values = np.asarray(highs.getSolution().col_value, dtype=np.float64)
            return values, self._objective, float(info.mip_dual_bound)
        finally:
            highs.changeColsIntegrality(count, columns, np.zeros(count, dtype=np.uint8))
            highs.setBasis(basis)

    @property
    def objective(self) -> float:
        """Value of the last optimum."""
        return self._objective

    def columns(self, name: str) -> slice:
        """Columns of a variable."""
        return self._columns[name]

    def duals(self, name: str) -> Floats:
        """Change of the objective per unit of the right-hand side, of a constraint's rows."""
        return np.asarray(self.highs.getSolution().row_dual, dtype=np.float64)[self._rows[name]]


def identify(expression: Any) -> list[Any]:
    """The mutable Param elements of an expression."""
    if isinstance(expression, int | float):
        return []
    return list(identify_mutable_parameters(expression))
