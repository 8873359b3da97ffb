"""Plans a case again and again with other values of its parameters.

A parameter is the dotted path of a value in the case (`grid.export_limit_kw`, `pv.flat.area_m2`: a surface or
one of several components by its name). Series are read here, so that workers on other machines need no file.
"""

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas
from pydantic import BaseModel, ValidationError

from optimiser.case import Case
from optimiser.inputs import Inputs, Store, read_inputs
from optimiser.planning.model import CaseImpossible
from optimiser.planning.net_rule import plan
from optimiser.planning.plan import Plan
from optimiser.planning.solve import SolverFailed
from optimiser.table import explained

Value = float | bool | str
ALIASES = {"exchange_limit_kw": ("grid.import_limit_kw", "grid.export_limit_kw")}
"""One name for several parameters that change together."""
MOST_POINTS = 10_000
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Is told how many plans are ready, and how many there will be."""


class SweepInvalid(ValueError):
    """A parameter that does not exist or a range that cannot be; the message says what exists."""


@dataclass(frozen=True)
class Axis:
    """A parameter and its values, in order."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Point:
    """The plan at some values, without its hourly flows; `error` instead where the solver failed."""

    values: Mapping[str, Value]
    plan: Plan | None
    error: str = ""


def parse_axis(text: str) -> Axis:
    """`NAME=START:STOP:COUNT` or `NAME=a,b,c`. Raises SweepInvalid."""
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise SweepInvalid(f"{text!r}: write NAME=START:STOP:COUNT or NAME=a,b,c")
    if ":" not in values:
        return Axis(name, tuple(_value(part) for part in values.split(",")))
    try:
        start, stop, count = values.split(":")
        first, last, number = float(start), float(stop), int(count)
    except ValueError:
        raise SweepInvalid(f"{text!r}: {values!r} is not START:STOP:COUNT, as 66:198:11") from None
    if not (np.isfinite([first, last]).all() and 2 <= number <= MOST_POINTS):
        raise SweepInvalid(f"{text!r}: START and STOP are numbers, COUNT is 2 to {MOST_POINTS}")
    return Axis(name, tuple(float(value) for value in np.linspace(first, last, number)))


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def changed(case: Case, values: Mapping[str, Value]) -> Case:
    """The case with other values. Raises SweepInvalid."""
    for name, value in values.items():
        for path in ALIASES.get(name, (name,)):
            case = _changed(case, path.split("."), value, path)
    return case


def _changed(node: Any, parts: list[str], value: Value, path: str) -> Any:
    if not parts:
        if isinstance(node, BaseModel | dict) or (isinstance(node, list) and node):
            raise SweepInvalid(f"{path} is a table; add one of {', '.join(_known(node))}")
        return value
    known, first, rest = _known(node), parts[0], parts[1:]
    if first not in known:
        raise SweepInvalid(f"no parameter {path!r}: {first!r} is not one of {', '.join(sorted(known))}")
    place = known[first]
    if isinstance(node, dict):
        return {**node, place: _changed(node[place], rest, value, path)}
    if isinstance(node, list):
        return [_changed(entry, rest, value, path) if i == place else entry for i, entry in enumerate(node)]
    if isinstance(place, tuple):
        field = place[0]
        new = _changed(getattr(node, field), parts, value, path)
    else:
        field = place
        new = _changed(getattr(node, field), rest, value, path)
    fields = {name: getattr(node, name) for name in type(node).model_fields}
    try:
        return type(node).model_validate(fields | {field: new})
    except ValidationError as error:
        raise SweepInvalid(explained(path, error)) from None


def _known(node: Any) -> dict[str, Any]:
    """What can follow in a path: name -> key, place in a list, or (field, key) for what is named below."""
    if isinstance(node, dict):
        return {str(key): key for key in node}
    if isinstance(node, list | tuple):
        return {str(getattr(entry, "name", place + 1)): place for place, entry in enumerate(node)}
    if not isinstance(node, BaseModel):
        return {}
    known: dict[str, Any] = {}
    for field in type(node).model_fields:
        value = getattr(node, field)
        if field == "components":
            known |= {name: (field, name) for name in value}
        elif field != "folder":
            known[field] = field
            if isinstance(value, list | tuple) and value and hasattr(value[0], "name"):
                known |= {entry.name: (field, entry.name) for entry in value if entry.name not in known}
    return known


def sweep(
    case: Case,
    axes: Iterable[Axis],
    scheduler: str | None = None,
    workers: int = 0,
    progress: Progress | None = None,
) -> list[Point]:
    """A plan for each combination of values, the last axis fastest. Raises SweepInvalid, SeriesError.

    scheduler: address of a Dask cluster; else processes of this machine (0: one per core, 1: this process).
    """
    axes = list(axes)
    names = [axis.name for axis in axes]
    if len(set(names)) < len(names):
        raise SweepInvalid(f"a parameter is there twice: {', '.join(names)}")
    count = int(np.prod([len(axis.values) for axis in axes]))
    if count > MOST_POINTS:
        raise SweepInvalid(f"{count} points are more than {MOST_POINTS}: take fewer values")
    every = [
        dict(zip(names, values, strict=True)) for values in itertools.product(*(axis.values for axis in axes))
    ]
    cases = [changed(case, values) for values in every]
    found = plan_all(cases, scheduler, workers, progress)
    return [Point(values, result, error) for values, (result, error) in zip(every, found, strict=True)]


def plan_all(
    cases: list[Case], scheduler: str | None = None, workers: int = 0, progress: Progress | None = None
) -> list[tuple[Plan | None, str]]:
    """Plans in the order of the cases, or what failed. Raises SeriesError, InputMissing, OSError."""
    store = Store()
    work = [(case, read_inputs(case, store)) for case in cases]
    if scheduler is not None:
        import distributed  # takes a second, and few sweeps need it

        with distributed.Client(scheduler, timeout="20s") as client:  # type: ignore[no-untyped-call]
            futures = client.map(_solved, work, pure=False)
            _count(distributed.as_completed(futures), len(work), progress)  # type: ignore[no-untyped-call]
            results: list[tuple[Plan | None, str]] = client.gather(futures)
            return results
    used = min(workers or os.cpu_count() or 1, len(work))
    if used <= 1:
        return _count(map(_solved, work), len(work), progress)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(used, mp_context=context) as pool:
        return _count(pool.map(_solved, work), len(work), progress)


def _count(results: Iterable[Result], count: int, progress: Progress | None) -> list[Result]:
    """The results; after each the progress is told."""
    found = []
    for result in results:
        found.append(result)
        if progress is not None:
            progress(len(found), count)
    return found


def _solved(work: tuple[Case, Inputs]) -> tuple[Plan | None, str]:
    try:
        return replace(plan(*work, explained=False), flows=pandas.DataFrame()), ""
    except (CaseImpossible, SolverFailed) as error:
        return None, str(error)
