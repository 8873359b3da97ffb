"""The expanded model against the one that Pyomo builds interval by interval."""

import numpy as np
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from optimiser.case import Case
from optimiser.inputs import Inputs
from optimiser.planning.model import build
from optimiser.planning.solve import Solver, Status


def check_expansion(case: Case, inputs: Inputs) -> None:
    """Costs, rows and bounds are the same in both, and the program has a solution."""
    ours = build(case, inputs).hourly.compile()
    expanded = build(case, inputs, expanded=True).hourly
    form = LinearStandardFormCompiler().write(expanded.pyomo, mixed_form=True)
    cost = form.c.toarray()[0]
    solved = Solver(ours).solve()
    assert solved.status is Status.OPTIMAL
    names = [variable.name for variable in form.columns]
    assert len(names) == ours.matrix.shape[1]
    place: dict[str, int] = {}
    for variable in expanded.pyomo.component_objects():
        if variable.ctype.__name__ == "Var":
            columns = expanded.columns(variable)
            data = [variable] if not variable.is_indexed() else list(variable.values())
            place |= {entry.name: columns.start + number for number, entry in enumerate(data)}
    order = [place[name] for name in names]
    assert sorted(order) == list(range(len(order)))
    assert np.allclose(cost, ours.cost[order])
    assert form.A.shape[0] == ours.matrix.shape[0]
    ours_rows = ours.matrix.toarray()[:, order]
    theirs = form.A.toarray()
    signed = np.where(np.isfinite(ours.row_upper), 1.0, -1.0)
    rhs = np.where(np.isfinite(ours.row_upper), ours.row_upper, -ours.row_lower)
    kind = np.array([row.bound_type for row in form.rows])
    theirs_sign = np.where(kind == -1, -1.0, 1.0)
    a = np.round(np.column_stack([ours_rows * signed[:, None], rhs]), 9)
    b = np.round(np.column_stack([theirs * theirs_sign[:, None], np.array(form.rhs) * theirs_sign]), 9)
    assert sorted(map(tuple, (a + 0.0).tolist())) == sorted(map(tuple, (b + 0.0).tolist()))
    bounds = {variable.name: variable.bounds for variable in form.columns}
    for name, column in place.items():
        low, high = bounds[name]
        assert ours.lower[column] == (low if low is not None else -np.inf)
        assert ours.upper[column] == (high if high is not None else np.inf)
