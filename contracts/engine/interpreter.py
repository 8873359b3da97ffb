"""The inner loop of the embedded chain: code translated to Python, with py-evm around it.

py-evm spends four microseconds on each opcode, most of it in calls and conversions. Its loop asks the code
for the next opcode; the code here runs its translation (see `translation`) and hands only the opcodes that
this leaves out to py-evm: calls, creations, logs, ends and rare ones. Everything else about an execution is
py-evm's. In the tests both run the same programs to the same result and gas.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from eth.vm.code_stream import CodeStream
from eth.vm.forks.paris.computation import ParisComputation

from contracts.engine.translation import Translation

TRANSLATED_CODES = 256
"""Codes whose translation is kept; a chain of this platform has about 30 with those that create contracts."""


class Interpreter(CodeStream):  # type: ignore[misc]
    """Code that runs itself as far as it can."""

    def __init__(self, computation: "InterpretedComputation") -> None:
        super().__init__(computation.msg.code)
        self.program_counter = 0
        self._computation = computation

    def __iter__(self) -> Iterator[int]:
        """The opcodes that are left to py-evm, each when it is due."""
        computation = self._computation
        values: list[Any] = computation._stack.values
        meter = computation._gas_meter
        call_data: bytes = computation.msg.data_as_bytes
        translation = _translation(self._raw_code_bytes)
        known = translation.known
        counter, gas = int(self.program_counter), int(meter.gas_remaining)
        memory = computation._memory._bytes
        while True:
            step = known(counter)
            if step is None:
                step = translation.step(counter)
            if type(step) is not int:
                counter, gas = step(values, gas, memory, computation, call_data)  # type: ignore[operator]
                continue
            self.program_counter, meter.gas_remaining = counter + 1, gas
            yield step
            # Calls and copies change the memory, which may then be another object, and push bytes.
            counter, gas, memory = self.program_counter, meter.gas_remaining, computation._memory._bytes
            if values and type(values[-1]) is bytes:
                values[-1] = int.from_bytes(values[-1], "big")


class InterpretedComputation(ParisComputation):  # type: ignore[misc]
    """py-evm's execution of a message, with the loop above."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.code = Interpreter(self)


@lru_cache(maxsize=TRANSLATED_CODES)
def _translation(code: bytes) -> Translation:
    return Translation(code)
