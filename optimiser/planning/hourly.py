"""A Pyomo model over the intervals of a year whose equations are stated once, for all intervals.

Ordinary Pyomo calls a rule 8,760 times and walks 8,760 expressions; here a rule is called once with a Pyomo
index template, and `compile` expands the template with numpy. The model is the same: with `expanded=True`
Pyomo builds every interval itself and its own standard-form compiler reads it (a test compares the two).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.core.expr import relational_expr
from pyomo.core.expr.numeric_expr import (
    DivisionExpression,
    NegationExpression,
    ProductExpression,
    SumExpression,
)
from pyomo.core.expr.template_expr import GetItemExpression, IndexTemplate, TemplateSumExpression
from scipy.sparse import coo_array, csr_array

Floats = NDArray[np.float64]
Rule = Callable[[Any], Any]
"""The expression of an interval: called with the interval's index, made of variables, series and numbers."""


class ModelInvalid(ValueError):
    """A statement that is not linear in the variables, or a series of the wrong length."""


@dataclass(frozen=True)
class Lp:
    """A linear program in numbers: minimise `cost @ x + offset`, `row_lower <= matrix @ x <= row_upper`."""

    cost: Floats
    offset: float
    lower: Floats
    upper: Floats
    is_integer: NDArray[np.bool_]
    matrix: csr_array
    row_lower: Floats
    row_upper: Floats


@dataclass(frozen=True)
class _Linear:
    """`constant + sum coefficient * x[columns]`; each a number, or an array with one element per interval."""

    constant: Any
    terms: list[tuple[Any, Any]]

    def scaled(self, factor: Any) -> "_Linear":
        return _Linear(self.constant * factor, [(columns, value * factor) for columns, value in self.terms])


class Hourly:
    """The model under construction. Powers in kW, energies in kWh, money in EUR of today."""

    def __init__(self, steps: int, step_h: float = 1.0, expanded: bool = False) -> None:
        self.steps = steps
        self.step_h = step_h
        self.pyomo = pyo.ConcreteModel()
        self.pyomo.steps = pyo.RangeSet(0, steps - 1)
        self._expanded = expanded
        self._index = IndexTemplate(self.pyomo.steps)
        self._columns: dict[int, slice] = {}
        self._values: dict[int, Floats] = {}
        self._lower: list[Floats] = []
        self._upper: list[Floats] = []
        self._integer: list[NDArray[np.bool_]] = []
        self._rows: list[tuple[str, Any, int | None]] = []
        self._objective: Any = 0.0
        self._count = 0
        self.before = self.series("before", (np.arange(steps) - 1) % steps)
        """Index of the interval before; that of the first is the last (the year closes on itself)."""

    def series(self, name: str, values: Any) -> Any:
        """A known series, one value per interval; use it as `series[t]`. Raises ModelInvalid."""
        if np.shape(values) not in ((), (self.steps,)):
            raise ModelInvalid(f"series {name!r} has {np.size(values)}, not {self.steps} values")
        array = np.array(np.broadcast_to(np.asarray(values), (self.steps,)))
        if not np.isfinite(array).all():
            raise ModelInvalid(f"series {name!r}: value {int(np.argmin(np.isfinite(array)))} is not finite")
        start: dict[str, Any] = {"initialize": dict(enumerate(array.tolist()))} if self._expanded else {}
        parameter = pyo.Param(self.pyomo.steps, within=pyo.Any, **start)
        self.pyomo.add_component(f"{name}_series", parameter)
        self._values[id(parameter)] = array
        return parameter

    def flow(self, name: str, upper: Any = np.inf, lower: Any = 0.0, binary: bool = False) -> Any:
        """A variable per interval, between bounds (numbers or arrays); use it as `flow[t]`."""
        return self._variable(name, self.steps, lower, upper, binary)

    def size(self, name: str, upper: float = np.inf, lower: float = 0.0) -> Any:
        """One variable of the whole plan; use it as it is."""
        return self._variable(name, None, lower, upper, False)

    def sizes(self, name: str, count: int, upper: float = np.inf) -> Any:
        """`count` variables (as a peak per month); use them as `sizes[k]` or `sizes[series[t]]`."""
        return self._variable(name, count, 0.0, upper, False)

    def rows(self, name: str, rule: Rule) -> None:
        """A constraint in every interval: `rule(t)` is an (in)equality."""
        if self._expanded:
            self.pyomo.add_component(
                f"{name}_rows", pyo.Constraint(self.pyomo.steps, rule=lambda _, t: rule(t))
            )
        else:
            self._rows.append((name, rule(self._index), self.steps))

    def row(self, name: str, statement: Any) -> None:
        """One constraint on sizes and totals."""
        if self._expanded:
            self.pyomo.add_component(f"{name}_rows", pyo.Constraint(expr=statement))
        else:
            self._rows.append((name, statement, None))

    def total(self, rule: Rule) -> Any:
        """The sum of `rule(t)` over all intervals, as an expression."""
        if self._expanded:
            return pyo.quicksum(rule(t) for t in range(self.steps))
        return TemplateSumExpression((rule(self._index),), [(self._index,)])

    def minimise(self, cost: Any) -> None:
        """The objective, EUR."""
        self._objective = cost
        if self._expanded:
            self.pyomo.objective = pyo.Objective(expr=cost)

    def columns(self, variable: Any) -> slice:
        """Where a variable lies in the linear program."""
        return self._columns[id(variable)]

    def place_of(self, expression: Any) -> slice | None:
        """Where an expression lies in the linear program if it is a variable, else None."""
        return self._columns.get(id(expression))

    def upper(self, variable: Any) -> Floats:
        """Upper bounds of a variable."""
        return self._upper[list(self._columns).index(id(variable))]

    def unlimit(self, variable: Any) -> None:
        """Take the upper bounds of a variable away (before `compile`)."""
        self._upper[list(self._columns).index(id(variable))] = np.full_like(self.upper(variable), np.inf)

    def drop_rows(self, name: str) -> None:
        """Take a statement back, if it was made (before `compile`)."""
        self._rows = [row for row in self._rows if row[0] != name]

    @property
    def count(self) -> int:
        """Number of columns so far."""
        return self._count

    @property
    def row_places(self) -> dict[str, slice]:
        """Where the rows of each statement lie in the linear program."""
        places, first = {}, 0
        for name, _, steps in self._rows:
            places[name] = slice(first, first + (steps or 1))
            first += steps or 1
        return places

    def evaluate(self, rule: Rule, x: Floats) -> Floats:
        """`rule(t)` in every interval, for a solution."""
        return np.array(np.broadcast_to(self._at(self._linear(rule(self._index)), x), (self.steps,)))

    def evaluate_total(self, expression: Any, x: Floats) -> float:
        """An expression of sizes and totals, for a solution."""
        linear = self._linear(expression)
        parts = (float(np.sum(value * x[columns])) for columns, value in linear.terms)
        return float(linear.constant) + sum(parts)

    def known(self, rule: Rule) -> Floats | None:
        """`rule(t)` in every interval if no variable is in it, else None."""
        linear = self._linear(rule(self._index))
        return None if linear.terms else np.array(np.broadcast_to(linear.constant, (self.steps,)))

    def compile(self) -> Lp:
        """The model in numbers. Raises ModelInvalid where a statement is not linear."""
        coordinates: list[tuple[Any, Any, Any]] = []
        lower: list[Floats] = []
        upper: list[Floats] = []
        first = 0
        for name, statement, steps in self._rows:
            count = steps or 1
            low, body, high = self._bounded(name, statement)
            place = first + np.arange(count)
            for columns, value in body.terms:
                shape = np.broadcast_shapes(np.shape(columns), np.shape(value), (count,))
                row = place if steps else np.full(shape, first)
                coordinates.append(
                    (row, np.broadcast_to(columns, shape), np.broadcast_to(np.asarray(value, float), shape))
                )
            lower.append(np.broadcast_to(low - body.constant, (count,)))
            upper.append(np.broadcast_to(high - body.constant, (count,)))
            first += count
        objective = self._linear(self._objective)
        cost = np.zeros(self._count)
        for columns, value in objective.terms:
            np.add.at(cost, columns, value)
        row, column, value = (
            (np.concatenate([entry[k] for entry in coordinates]) if coordinates else np.zeros(0, int))
            for k in range(3)
        )
        matrix = csr_array(coo_array((value, (row, column)), shape=(first, self._count)))
        matrix.eliminate_zeros()
        return Lp(
            cost=cost,
            offset=float(objective.constant),
            lower=np.concatenate(self._lower),
            upper=np.concatenate(self._upper),
            is_integer=np.concatenate(self._integer),
            matrix=matrix,
            row_lower=np.concatenate(lower),
            row_upper=np.concatenate(upper),
        )

    def _variable(self, name: str, count: int | None, lower: Any, upper: Any, binary: bool) -> Any:
        size = count or 1
        if binary:
            upper = 1.0
        low, high = (np.array(np.broadcast_to(np.asarray(bound, float), (size,))) for bound in (lower, upper))
        if (low > high).any():
            raise ModelInvalid(f"variable {name!r}: lower bound above the upper one")
        domain = pyo.Binary if binary else pyo.Reals
        bounds = _finite(low, high) if self._expanded else None
        if count is None:
            variable = pyo.Var(domain=domain, bounds=bounds and bounds(None, 0))
        else:
            index = self.pyomo.steps if count == self.steps else pyo.RangeSet(0, count - 1)
            variable = pyo.Var(index, domain=domain, bounds=bounds, dense=self._expanded)
        self.pyomo.add_component(name, variable)
        self._columns[id(variable)] = slice(self._count, self._count + size)
        self._count += size
        self._lower.append(low)
        self._upper.append(high)
        self._integer.append(np.full(size, binary))
        return variable

    def _bounded(self, name: str, statement: Any) -> tuple[Any, _Linear, Any]:
        if isinstance(statement, relational_expr.EqualityExpression):
            left, right = (self._linear(side) for side in statement.args)
            low, high = 0.0, 0.0
        elif isinstance(statement, relational_expr.InequalityExpression):
            left, right = (self._linear(side) for side in statement.args)
            low, high = -np.inf, 0.0
        else:
            raise ModelInvalid(f"constraint {name!r} is no equality or inequality")
        negative = right.scaled(-1.0)
        return low, _Linear(left.constant + negative.constant, left.terms + negative.terms), high

    def _at(self, linear: _Linear, x: Floats) -> Any:
        total = linear.constant
        for columns, value in linear.terms:
            part = value * x[columns]
            total = total + part
        return total

    def _linear(self, node: Any) -> _Linear:
        """Walk an expression; every number may be an array over the intervals."""
        if isinstance(node, int | float | np.number):
            return _Linear(float(node), [])
        if id(node) in self._columns:
            return _Linear(0.0, [(self._columns[id(node)].start, 1.0)])
        if isinstance(node, GetItemExpression):
            owner, place = node.args[0], self._place(node.args[1])
            if id(owner) in self._values:
                return _Linear(self._values[id(owner)][place], [])
            return _Linear(0.0, [(self._columns[id(owner)].start + place, 1.0)])
        if isinstance(node, TemplateSumExpression):
            return self._summed(self._linear(node.template_args()[0]))
        if isinstance(node, SumExpression):
            parts = [self._linear(part) for part in node.args]
            constant = sum((part.constant for part in parts), 0.0)
            return _Linear(constant, [term for part in parts for term in part.terms])
        if isinstance(node, NegationExpression):
            return self._linear(node.args[0]).scaled(-1.0)
        if isinstance(node, ProductExpression | DivisionExpression):
            left, right = (self._linear(part) for part in node.args)
            if isinstance(node, DivisionExpression):
                right = _Linear(1.0 / right.constant, right.terms)
            elif not left.terms:
                left, right = right, left
            if right.terms:
                raise ModelInvalid(f"not linear: {node}")
            return left.scaled(right.constant)
        if getattr(node, "is_indexed", lambda: True)() is False and getattr(node, "parent_component", None):
            return self._element(node)
        raise ModelInvalid(f"cannot read {type(node).__name__} in a linear model: {node}")

    def _element(self, node: Any) -> _Linear:
        """One element of an indexed variable, as `sizes[3]`."""
        owner = node.parent_component()
        return _Linear(0.0, [(self._columns[id(owner)].start + int(node.index()), 1.0)])

    def _summed(self, inner: _Linear) -> _Linear:
        constant = float(np.sum(np.broadcast_to(inner.constant, (self.steps,))))
        terms = []
        for columns, value in inner.terms:
            shape = (self.steps,)
            terms.append((np.broadcast_to(columns, shape), np.broadcast_to(value, shape)))
        return _Linear(constant, terms)

    def _place(self, node: Any) -> Any:
        if node is self._index:
            return np.arange(self.steps)
        if isinstance(node, int):
            return node
        if isinstance(node, GetItemExpression):
            return self._values[id(node.args[0])][self._place(node.args[1])].astype(int)
        raise ModelInvalid(f"cannot use {node} as an index; use t, before[t] or a series of indices")


def _finite(low: Floats, high: Floats) -> Callable[[Any, int], tuple[float | None, float | None]]:
    def bounds(_: Any, index: int) -> tuple[float | None, float | None]:
        pair = float(low[index]), float(high[index])
        return (None if np.isinf(pair[0]) else pair[0]), (None if np.isinf(pair[1]) else pair[1])

    return bounds
