"""The engine's inner loop against py-evm's own: the same end, output, gas and storage for any program."""

from typing import Any

from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.paris import ParisVM
from eth.vm.forks.paris.computation import ParisComputation
from eth.vm.message import Message
from eth.vm.transaction_context import BaseTransactionContext
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.engine.interpreter import InterpretedComputation

SENDER, CONTRACT = b"\x01" * 20, b"\x02" * 20


def run(kind: Any, code: bytes, data: bytes, gas: int) -> tuple[object, ...]:
    chain_class: Any = type("TestChain", (MiningChain,), {"vm_configuration": ((0, ParisVM),), "chain_id": 1})
    chain = chain_class.from_genesis(AtomicDB(), {"difficulty": 0, "gas_limit": 10**8, "timestamp": 1})
    state = chain.get_vm().state
    state.set_code(CONTRACT, code)
    message = Message(gas=gas, to=CONTRACT, sender=SENDER, value=0, data=data, code=code)
    computation = kind.apply_computation(state, message, BaseTransactionContext(gas_price=0, origin=SENDER))
    error = type(computation.error).__name__ if computation.is_error else None
    # Not every py-evm error says the same about a jump into data; both burn all gas.
    error = "InvalidJumpDestination" if error == "InvalidInstruction" else error
    slots = tuple(state.get_storage(CONTRACT, slot) for slot in range(4))
    stack = tuple(
        value if isinstance(value, int) else int.from_bytes(value, "big")
        for value in computation._stack.values
    )
    return (
        error,
        computation.get_gas_remaining(),
        computation.output,
        slots,
        () if error else stack,
        bytes(computation._memory._bytes) if not error else b"",
    )


def push(value: int) -> bytes:
    encoded = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes((0x5F + len(encoded),)) + encoded


numbers = st.one_of(
    st.integers(0, 70),
    st.integers(0, 2**256 - 1),
    st.sampled_from([2**255, 2**256 - 1, 2**255 - 1, 255, 256, 257, 1023]),
)
opcodes = st.sampled_from(
    bytes(range(0x0C))
    + bytes(range(0x10, 0x1E))
    + bytes(range(0x50, 0x5C))
    + bytes(range(0x80, 0xA3))
    + bytes.fromhex("20303334353637383990a0f3fdfe5fef")
)
pieces = st.one_of(
    numbers.map(push),
    numbers.map(push),
    opcodes.map(lambda opcode: bytes((opcode,))),
    st.tuples(st.integers(0, 200), st.booleans()).map(
        lambda jump: push(jump[0]) + (b"\x56" if jump[1] else b"\x57") + b"\x5b"
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=60).map(b"".join), st.binary(max_size=80), st.integers(0, 3_000))
def test_random_programs_end_alike(code: bytes, data: bytes, gas: int) -> None:
    expected = run(ParisComputation, code, data, gas)
    assert run(InterpretedComputation, code, data, gas) == expected


@settings(max_examples=300, deadline=None)
@given(numbers, numbers, st.sampled_from([*range(0x01, 0x0C), *range(0x10, 0x1E), 0x35, 0x51]))
def test_every_arithmetic_opcode_gives_the_same_number(left: int, right: int, opcode: int) -> None:
    code = push(right) + push(left) + bytes((opcode,)) + push(0) + b"\x52" + push(32) + push(0) + b"\xf3"
    arguments = (code, bytes(range(64)), 200_000)
    assert run(InterpretedComputation, *arguments) == run(ParisComputation, *arguments)


def test_limits_of_the_stack() -> None:
    for code in (
        b"\x01",
        b"\x80",
        b"\x90",
        push(1) + b"\x91",
        b"\x50",
        b"\x57",
        push(1) * 1025,
        push(1) * 1024,
    ):
        arguments = (code, b"", 100_000)
        assert run(InterpretedComputation, *arguments) == run(ParisComputation, *arguments)
    assert run(InterpretedComputation, push(1) * 1025, b"", 100_000)[0] == "FullStack"
    assert run(InterpretedComputation, b"\x01", b"", 100_000)[0] == "InsufficientStack"


def test_a_jump_into_the_data_of_a_push_fails() -> None:
    code = push(3) + b"\x56" + b"\x60\x5b"
    assert run(InterpretedComputation, code, b"", 100_000)[:2] == ("InvalidJumpDestination", 0)
