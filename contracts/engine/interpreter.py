"""The inner loop of the embedded chain: the opcodes that only move numbers about, done here in one place.

py-evm spends four microseconds on each opcode, most of it in calls and conversions (five times as much for a
ledger's batch as with this). Its loop asks the code for the next opcode; the code here executes those that
touch nothing but stack, memory already paid for and calldata, and hands only the others to py-evm.
Everything else about an execution is py-evm's. In the tests both run the same programs to the same result
and gas.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from eth.exceptions import FullStack, InsufficientStack, InvalidJumpDestination, OutOfGas
from eth.vm.code_stream import CodeStream
from eth.vm.forks.paris.computation import ParisComputation

WORD = (1 << 256) - 1
STACK_LIMIT = 1024


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
        memory = computation._memory
        call_data: bytes = computation.msg.data_as_bytes
        code, destinations = _prepared(self._raw_code_bytes)
        pop, push, word = values.pop, values.append, WORD
        counter = int(self.program_counter)
        gas = int(meter.gas_remaining)
        try:
            while True:
                opcode = code[counter]
                counter += 1
                if 0x60 <= opcode <= 0x9F:
                    gas -= 3
                    if gas < 0:
                        raise OutOfGas("out of gas")
                    if opcode >= 0x90:  # SWAP
                        place = 0x8E - opcode
                        values[place], values[-1] = values[-1], values[place]
                        continue
                    if len(values) >= STACK_LIMIT:
                        raise FullStack("stack limit reached")
                    if opcode >= 0x80:  # DUP
                        push(values[0x7F - opcode])
                    else:  # PUSH
                        after = counter + opcode - 0x5F
                        push(int.from_bytes(code[counter:after], "big"))
                        counter = after
                elif 0x50 <= opcode <= 0x5B:
                    if opcode == 0x57:  # JUMPI
                        gas -= 10
                        if gas < 0:
                            raise OutOfGas("out of gas")
                        target, condition = pop(), pop()
                        if condition:
                            if target not in destinations:
                                raise InvalidJumpDestination("Invalid Jump Destination")
                            counter = target
                    elif opcode == 0x5B:  # JUMPDEST
                        gas -= 1
                        if gas < 0:
                            raise OutOfGas("out of gas")
                    elif opcode == 0x50:  # POP
                        gas -= 2
                        if gas < 0:
                            raise OutOfGas("out of gas")
                        pop()
                    elif opcode == 0x56:  # JUMP
                        gas -= 8
                        if gas < 0:
                            raise OutOfGas("out of gas")
                        counter = pop()
                        if counter not in destinations:
                            raise InvalidJumpDestination("Invalid Jump Destination")
                    elif opcode <= 0x52 and gas >= 3 and values[-1] + 32 <= len(memory._bytes):
                        gas -= 3
                        start = pop()
                        if opcode == 0x51:  # MLOAD
                            push(int.from_bytes(memory._bytes[start : start + 32], "big"))
                        else:  # MSTORE
                            memory._bytes[start : start + 32] = pop().to_bytes(32, "big")
                    else:
                        self.program_counter, meter.gas_remaining = counter, gas
                        yield opcode
                        counter, gas = self.program_counter, meter.gas_remaining
                        if values and type(values[-1]) is bytes:
                            values[-1] = int.from_bytes(values[-1], "big")
                elif opcode in _ARITHMETIC:
                    gas -= 3
                    if gas < 0:
                        raise OutOfGas("out of gas")
                    if opcode == 0x01:  # ADD
                        push((pop() + pop()) & word)
                    elif opcode == 0x16:  # AND
                        push(pop() & pop())
                    elif opcode == 0x03:  # SUB
                        push((pop() - pop()) & word)
                    elif opcode == 0x11:  # GT
                        push(1 if pop() > pop() else 0)
                    elif opcode == 0x10:  # LT
                        push(1 if pop() < pop() else 0)
                    elif opcode == 0x15:  # ISZERO
                        push(0 if pop() else 1)
                    elif opcode == 0x1C:  # SHR
                        shift, value = pop(), pop()
                        push(value >> shift if shift < 256 else 0)
                    elif opcode == 0x1B:  # SHL
                        shift, value = pop(), pop()
                        push((value << shift) & word if shift < 256 else 0)
                    elif opcode == 0x17:  # OR
                        push(pop() | pop())
                    elif opcode == 0x14:  # EQ
                        push(1 if pop() == pop() else 0)
                    elif opcode == 0x35:  # CALLDATALOAD
                        start = pop()
                        push(int.from_bytes(call_data[start : start + 32].ljust(32, b"\0"), "big"))
                    elif opcode == 0x19:  # NOT
                        push(pop() ^ word)
                    else:  # XOR
                        push(pop() ^ pop())
                elif opcode == 0x02 or opcode == 0x04:
                    gas -= 5
                    if gas < 0:
                        raise OutOfGas("out of gas")
                    left, right = pop(), pop()
                    if opcode == 0x02:  # MUL
                        push((left * right) & word)
                    else:  # DIV
                        push(left // right if right else 0)
                else:
                    self.program_counter, meter.gas_remaining = counter, gas
                    yield opcode
                    counter, gas = self.program_counter, meter.gas_remaining
                    if values and type(values[-1]) is bytes:
                        values[-1] = int.from_bytes(values[-1], "big")
        except IndexError as problem:
            raise InsufficientStack("not enough values on the stack") from problem


class InterpretedComputation(ParisComputation):  # type: ignore[misc]
    """py-evm's execution of a message, with the loop above."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.code = Interpreter(self)


_ARITHMETIC = frozenset((0x01, 0x03, 0x10, 0x11, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1B, 0x1C, 0x35))


@lru_cache(maxsize=256)
def _prepared(code: bytes) -> tuple[bytes, frozenset[int]]:
    """The code with zeros behind it (code that runs out stops), and where jumps may go."""
    destinations, place = set(), 0
    while place < len(code):
        opcode = code[place]
        if opcode == 0x5B:
            destinations.add(place)
        place += opcode - 0x5E if 0x60 <= opcode <= 0x7F else 1
    return code + bytes(33), frozenset(destinations)
