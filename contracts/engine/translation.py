"""EVM code translated to Python: each trace through it becomes one function, made when it is first reached.

A trace begins where the execution stands and goes on through jumps whose target is known, so that Solidity's
internal functions, which push where they return to, are part of it. It ends at a jump that only the
execution knows, at its own beginning (a loop), or before an opcode that is left to py-evm; a `JUMPI` may
leave it early. Within a trace the stack is an idea: each entry is a Python expression, most of which are
never put on a stack.

Gas is charged by sections, a section being what runs as a whole or fails: opcodes of fixed price are paid
when it begins, and it is known then how deep and how high the stack gets. A failure may therefore be noticed
before or instead of another one in the same section; all of them use up all gas and undo all effects.
Sections end before anything that can observe the gas that is left, so that this is exact.

The function of a trace takes the stack `s`, the gas left `g`, the memory `m`, the computation `c` and the
calldata `d`, and returns where the execution goes on and the gas left. `n` is the height of the stack.
"""

from collections.abc import Callable
from typing import Any

from contracts.engine.operations import NAMESPACE, STACK_LIMIT

Trace = Callable[[list[int], int, bytearray, Any, bytes], tuple[int, int]]
Step = Trace | int
"""What to do at a place in the code: run a trace, or leave this opcode to py-evm."""

LONGEST_TRACE = 150
"""Opcodes of a trace. Longer ones save little and are translated again for each way in."""
LONGEST_EXPRESSION = 160

WORD = hex((1 << 256) - 1)
SIGN = hex(1 << 255)
PUSH1, PUSH32, DUP1, SWAP1, SWAP16 = 0x60, 0x7F, 0x80, 0x90, 0x9F
JUMP, JUMPI, JUMPDEST, POP, GAS, SSTORE = 0x56, 0x57, 0x5B, 0x50, 0x5A, 0x55
ENDS = frozenset((0x00, 0xF3, 0xFD, 0xFE, 0xFF))
FAILS = frozenset((0xFD, 0xFE))

VALUES = {
    0x02: (5, 2, f"({{0}} * {{1}} & {WORD})"),
    0x01: (3, 2, f"({{0}} + {{1}} & {WORD})"),
    0x03: (3, 2, f"({{0}} - {{1}} & {WORD})"),
    0x04: (5, 2, "({0} // {1} if {1} else 0)"),
    0x05: (5, 2, "signed_divide({0}, {1})"),
    0x06: (5, 2, "({0} % {1} if {1} else 0)"),
    0x07: (5, 2, "signed_modulo({0}, {1})"),
    0x08: (8, 3, "(({0} + {1}) % {2} if {2} else 0)"),
    0x09: (8, 3, "({0} * {1} % {2} if {2} else 0)"),
    0x0B: (5, 2, "sign_extend({0}, {1})"),
    0x16: (3, 2, "({0} & {1})"),
    0x17: (3, 2, "({0} | {1})"),
    0x18: (3, 2, "({0} ^ {1})"),
    0x19: (3, 1, f"({{0}} ^ {WORD})"),
    0x1A: (3, 2, "({1} >> 248 - 8 * {0} & 255 if {0} < 32 else 0)"),
    0x1B: (3, 2, f"({{1}} << {{0}} & {WORD} if {{0}} < 256 else 0)"),
    0x1C: (3, 2, "({1} >> {0} if {0} < 256 else 0)"),
    0x1D: (3, 2, "shift_signed({0}, {1})"),
    0x30: (2, 0, "from_bytes(c.msg.storage_address, 'big')"),
    0x33: (2, 0, "from_bytes(c.msg.sender, 'big')"),
    0x34: (2, 0, "c.msg.value"),
    0x35: (3, 1, "from_bytes(d[{0}:{0} + 32].ljust(32, ZERO), 'big')"),
    0x36: (2, 0, "len(d)"),
    0x38: (2, 0, "CODE_SIZE"),
    0x3D: (2, 0, "len(c.return_data)"),
    0x42: (2, 0, "c.state.timestamp"),
}
"""Opcodes without effect: price, operands, and the expression of its value (the topmost operand first)."""

CONDITIONS = {
    0x10: (3, 2, "{0} < {1}"),
    0x11: (3, 2, "{0} > {1}"),
    0x12: (3, 2, f"({{0}} ^ {SIGN}) < ({{1}} ^ {SIGN})"),
    0x13: (3, 2, f"({{0}} ^ {SIGN}) > ({{1}} ^ {SIGN})"),
    0x14: (3, 2, "{0} == {1}"),
    0x15: (3, 1, "not {0}"),
}
"""Opcodes whose value is 1 if a condition holds, else 0."""

EFFECTS = {
    0x20: (30, 2, "{v}, g = hash_memory(m, {0}, {1}, g)"),
    0x37: (3, 3, "g = copy(m, {0}, d, {1}, {2}, g)"),
    0x51: (3, 1, "if {0} + 32 > len(m): g = grow(m, {0} + 32, g)\n{v} = from_bytes(m[{0}:{0} + 32], 'big')"),
    0x52: (
        3,
        2,
        "if {0} + 32 > len(m): g = grow(m, {0} + 32, g)\nm[{0}:{0} + 32] = ({1}).to_bytes(32, 'big')",
    ),
    0x53: (3, 2, "if {0} >= len(m): g = grow(m, {0} + 1, g)\nm[{0}] = {1} & 255"),
    0x54: (0, 1, "{v}, g = load(c, {0}, g)"),
    0x55: (0, 2, "g = store(c, {0}, {1}, g)"),
    0x59: (2, 0, "{v} = len(m)"),
    0x5A: (2, 0, "{v} = g"),
}
"""Opcodes with an effect, or a value that depends on one: price, operands, statements; `v` is the value."""

PRICES = {JUMP: 8, JUMPI: 10, JUMPDEST: 1, POP: 2}


class Translation:
    """The steps of one code, by place; those that the execution never reaches are never made."""

    def __init__(self, code: bytes) -> None:
        self.code = code + bytes(33)  # code that runs out stops
        self.destinations = _destinations(code)
        self._namespace = {**NAMESPACE, "DESTINATIONS": self.destinations, "CODE_SIZE": len(code)}
        self._steps: dict[int, Step] = {}
        self.known = self._steps.get

    def step(self, place: int) -> Step:
        """What to do at `place`, where an instruction begins or the code has ended."""
        opcode = self.code[place] if place < len(self.code) else 0
        step: Step = opcode
        if is_translated(opcode):
            namespace: dict[str, Any] = {}
            exec(_Writer(self.code, self.destinations, place).source(), self._namespace, namespace)
            step = namespace["trace"]
        self._steps[place] = step
        return step


def is_translated(opcode: int) -> bool:
    """Whether `opcode` becomes Python; the others are left to py-evm."""
    return (
        PUSH1 <= opcode <= SWAP16
        or opcode in VALUES
        or opcode in CONDITIONS
        or opcode in EFFECTS
        or opcode in PRICES
    )


class _Writer:
    """Writes the source of one trace."""

    def __init__(self, code: bytes, destinations: frozenset[int], place: int) -> None:
        self._code, self._destinations, self._start = code, destinations, place
        self._lines = ["def trace(s, g, m, c, d):", " n = len(s)"]
        self._stack: list[str] = []  # expressions above what is left of the stack below
        self._below = 0  # entries of the stack at the start that are among these now
        self._conditions: dict[str, str] = {}  # of expressions that are 1 or 0
        self._names = 0
        self._deepest_checked = self._highest_checked = 0
        self._section()

    def source(self) -> str:
        """The function `trace`."""
        place: int | None = self._start
        count = 0
        while place is not None:
            opcode = self._code[place] if place < len(self._code) else 0
            if not is_translated(opcode) or count >= LONGEST_TRACE or (count and place == self._start):
                self._charge()
                self._leave(str(place))
                break
            count += 1
            place = self._translate(opcode, place)
        return "\n".join(self._lines)

    # --- sections

    def _section(self) -> None:
        self._lines.append("")
        self._first_line = len(self._lines) - 1
        self._gas = self._highest = 0

    def _charge(self) -> None:
        """End the section: at its beginning stands now what it takes."""
        limits = []
        if self._below > self._deepest_checked:
            limits.append(f"n < {self._below}")
            self._deepest_checked = self._below
        if self._highest > self._highest_checked:
            limits.append(f"n > {STACK_LIMIT - self._highest}")
            self._highest_checked = self._highest
        if self._gas:
            self._lines[self._first_line] = f" g -= {self._gas}"
            limits.insert(0, "g < 0")
        if limits:
            self._lines[self._first_line] += f"\n if {' or '.join(limits)}: fail(g, n, {self._below})"

    # --- the stack

    def _pop(self) -> str:
        if self._stack:
            return self._stack.pop()
        self._below += 1
        return f"s[-{self._below}]"

    def _push(self, expression: str) -> None:
        if len(expression) > LONGEST_EXPRESSION:
            expression = self._named(expression)
        self._stack.append(expression)
        self._highest = max(self._highest, len(self._stack) - self._below)

    def _reach(self, depth: int) -> None:
        """Have at least `depth` entries as expressions."""
        while len(self._stack) < depth:
            self._below += 1
            self._stack.insert(0, f"s[-{self._below}]")

    def _named(self, expression: str) -> str:
        """`expression`, which is computed once, where it is named: only names and numbers may occur twice."""
        if expression.isalnum():
            return expression
        name = self._name()
        self._lines.append(f" {name} = {expression}")
        return name

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _leave(self, place: str, indent: str = " ") -> None:
        """Put on the stack what has changed and go to `place`."""
        same = 0
        while same < min(self._below, len(self._stack)) and self._stack[same] == f"s[-{self._below - same}]":
            same += 1
        entries, replaced = self._stack[same:], self._below - same
        if entries and replaced:
            self._lines.append(f"{indent}s[-{replaced}:] = {', '.join(entries)},")
        elif len(entries) == 1:
            self._lines.append(f"{indent}s.append({entries[0]})")
        elif entries:
            self._lines.append(f"{indent}s += {', '.join(entries)},")
        elif replaced:
            self._lines.append(f"{indent}del s[-{replaced}:]")
        self._lines.append(f"{indent}return {place}, g")

    # --- opcodes

    def _translate(self, opcode: int, place: int) -> int | None:
        """Translate one opcode; the place of the next one, None when the trace has ended."""
        if PUSH1 <= opcode <= SWAP16:
            self._gas += 3
            if opcode >= SWAP1:
                depth = opcode - SWAP1 + 2
                self._reach(depth)
                self._stack[-1], self._stack[-depth] = self._stack[-depth], self._stack[-1]
            elif opcode >= DUP1:
                depth = opcode - DUP1 + 1
                self._reach(depth)
                self._stack[-depth] = self._named(self._stack[-depth])
                self._push(self._stack[-depth])
            else:
                after = place + opcode - PUSH1 + 2
                self._push(str(int.from_bytes(self._code[place + 1 : after], "big")))
                return after
        elif opcode in VALUES:
            self._value(opcode)
        elif opcode in CONDITIONS:
            self._condition(opcode)
        elif opcode in EFFECTS:
            self._effect(opcode)
        else:
            self._gas += PRICES[opcode]
            if opcode == POP:
                self._pop()
            elif opcode == JUMP:
                return self._jump(self._pop())
            elif opcode == JUMPI:
                return self._jump_if(self._pop(), self._pop(), place + 1)
        return place + 1

    def _operands(self, count: int, template: str) -> list[str]:
        """The operands, named where the template has them more than once."""
        operands = [self._pop() for _ in range(count)]
        for place, operand in enumerate(operands):
            if template.count(f"{{{place}}}") > 1:
                operands[place] = self._named(operand)
        return operands

    def _value(self, opcode: int) -> None:
        price, count, template = VALUES[opcode]
        self._gas += price
        if (
            opcode in (0x1B, 0x1C)
            and self._stack
            and self._stack[-1].isdigit()
            and int(self._stack[-1]) < 256
        ):
            template = template.replace(" if {0} < 256 else 0", "")
        operands = self._operands(count, template)
        expression = template.format(*operands)
        if count and all(operand.isdigit() for operand in operands) and opcode != 0x35:
            expression = str(eval(expression, NAMESPACE.copy()))
        self._push(expression)

    def _condition(self, opcode: int) -> None:
        price, count, template = CONDITIONS[opcode]
        self._gas += price
        operands = [self._pop() for _ in range(count)]
        if opcode == 0x15 and operands[0] in self._conditions:
            condition = f"not ({self._conditions[operands[0]]})"
        else:
            condition = template.format(*operands)
        expression = f"(1 if {condition} else 0)"
        if len(expression) <= LONGEST_EXPRESSION:
            self._conditions[expression] = condition
        self._push(expression)

    def _effect(self, opcode: int) -> None:
        price, count, template = EFFECTS[opcode]
        self._gas += price
        operands = self._operands(count, template)
        if opcode in (GAS, SSTORE):  # they see the gas that is left
            self._charge()
        name = self._name()
        statements = template.format(*operands, v=name)
        self._lines += [f" {line}" for line in statements.split("\n")]
        if opcode in (GAS, SSTORE):
            self._section()
        if "{v}" in template:
            self._push(name)

    def _jump(self, target: str) -> int | None:
        if target.isdigit() and int(target) in self._destinations:
            return int(target)
        self._charge()
        target = self._checked(target, " ")
        self._leave(target)
        return None

    def _jump_if(self, target: str, condition: str, after: int) -> int:
        """Go on where the code does not fail at once; leave the trace for the other side."""
        condition = self._conditions.get(condition, condition)
        known = int(target) if target.isdigit() and int(target) in self._destinations else None
        self._charge()
        if known is not None and self._fails(after):
            self._lines.append(f" if not ({condition}):")
            self._leave(str(after), "  ")
            after = known
        else:
            self._lines.append(f" if {condition}:")
            self._leave(self._checked(target, "  "), "  ")
        self._section()
        return after

    def _checked(self, target: str, indent: str) -> str:
        if target.isdigit() and int(target) in self._destinations:
            return target
        name = self._name()
        self._lines.append(f"{indent}{name} = {target}")
        self._lines.append(f"{indent}if {name} not in DESTINATIONS: fail_jump({name})")
        return name

    def _fails(self, place: int) -> bool:
        """Whether the code from `place` on leads straight to a failure."""
        while place < len(self._code):
            opcode = self._code[place]
            if opcode in ENDS or opcode in (JUMP, JUMPI, JUMPDEST):
                return opcode in FAILS
            place += opcode - PUSH1 + 2 if PUSH1 <= opcode <= PUSH32 else 1
        return False


def _destinations(code: bytes) -> frozenset[int]:
    """Where jumps may go."""
    destinations, place = set(), 0
    while place < len(code):
        opcode = code[place]
        if opcode == JUMPDEST:
            destinations.add(place)
        place += opcode - PUSH1 + 2 if PUSH1 <= opcode <= PUSH32 else 1
    return frozenset(destinations)
