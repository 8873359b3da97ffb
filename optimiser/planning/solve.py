"""Hands a linear program to HiGHS and brings back solution and duals.

Programs with storage have tens of thousands of rows that are linked in time: HiGHS' interior point solver
HiPO on the augmented system is fastest there (crossover is not needed: primal and dual agree to 1e-8).
Small ones go to simplex, those with integer variables to branch and bound.
"""

import time
from dataclasses import dataclass
from enum import StrEnum

import highspy
import numpy as np

from optimiser.planning.hourly import Floats, Lp

INTERIOR_FROM_ROWS = 30_000
INTERIOR_POINT = {"solver": "hipo", "hipo_system": "augmented", "run_crossover": "off"}

STALLED: tuple[tuple[str, str | int], ...] = (("user_objective_scale", -10), ("solver", "ipx"))
"""What is tried, one after the other, when HiPO makes no progress (one of the 22 published scenarios): the
cost in units of 2^10 EUR, then the older interior point solver, which is slower."""


class Status(StrEnum):
    """What the solver found."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    LIMIT = "limit"


class SolverFailed(RuntimeError):
    """HiGHS refused the model or ended in a state that is neither a solution nor a proof."""


@dataclass(frozen=True)
class Solution:
    """Vectors are empty unless optimal; a dual is the change of the cost per unit of the active bound."""

    status: Status
    x: Floats
    row_dual: Floats
    column_dual: Floats
    cost: float
    seconds: float


class Solver:
    """One linear program in HiGHS; bounds can be changed between solutions."""

    def __init__(self, lp: Lp, simplex_iterations: int | None = None) -> None:
        """`simplex_iterations` asks for simplex, ended after so many steps."""
        self.lp = lp
        self._highs = highspy.Highs()
        self._set("output_flag", False)
        integer = bool(lp.is_integer.any())
        self._interior = not integer and lp.matrix.shape[0] > INTERIOR_FROM_ROWS
        if integer:
            self._set("mip_rel_gap", 1e-7)
        elif simplex_iterations is not None:
            self._set("solver", "simplex")
            self._set("simplex_iteration_limit", simplex_iterations)
        elif self._interior:
            for name, value in INTERIOR_POINT.items():
                self._set(name, value)
        if self._highs.passModel(_highs_lp(lp)) == highspy.HighsStatus.kError:
            raise SolverFailed("HiGHS refuses the model; are its bounds and coefficients finite?")

    def bound_columns(self, columns: slice, lower: Floats | float, upper: Floats | float) -> None:
        """Replace the bounds of a variable."""
        count = columns.stop - columns.start
        self._highs.changeColsBounds(
            count,
            np.arange(columns.start, columns.stop, dtype=np.int32),
            np.array(np.broadcast_to(lower, (count,)), dtype=float),
            np.array(np.broadcast_to(upper, (count,)), dtype=float),
        )

    def solve(self) -> Solution:
        """Solve from scratch. Raises SolverFailed."""
        start = time.perf_counter()
        self._highs.run()
        status = self._highs.getModelStatus()
        for name, value in STALLED:
            if status != highspy.HighsModelStatus.kUnknown or not self._interior:
                break
            self._set(name, value)
            self._highs.clearSolver()
            self._highs.run()
            status = self._highs.getModelStatus()
        seconds = time.perf_counter() - start
        nothing = np.zeros(0)
        if status == highspy.HighsModelStatus.kOptimal:
            solution = self._highs.getSolution()
            return Solution(
                Status.OPTIMAL,
                np.array(solution.col_value),
                np.array(solution.row_dual),
                np.array(solution.col_dual),
                float(self._highs.getInfo().objective_function_value),
                seconds,
            )
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return Solution(Status.INFEASIBLE, nothing, nothing, nothing, np.inf, seconds)
        if status in (highspy.HighsModelStatus.kTimeLimit, highspy.HighsModelStatus.kIterationLimit):
            return Solution(Status.LIMIT, nothing, nothing, nothing, np.inf, seconds)
        raise SolverFailed(f"HiGHS ended with {self._highs.modelStatusToString(status)!r}")

    def _set(self, name: str, value: bool | int | float | str) -> None:
        if self._highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverFailed(f"HiGHS does not take option {name} = {value!r}")


def _highs_lp(lp: Lp) -> highspy.HighsLp:
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = lp.matrix.shape
    program.col_cost_, program.offset_ = lp.cost, lp.offset
    program.col_lower_, program.col_upper_ = lp.lower, lp.upper
    program.row_lower_, program.row_upper_ = lp.row_lower, lp.row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = lp.matrix.indptr
    program.a_matrix_.index_ = lp.matrix.indices
    program.a_matrix_.value_ = lp.matrix.data
    if lp.is_integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        program.integrality_ = [kinds[flag] for flag in lp.is_integer.astype(int)]
    return program
