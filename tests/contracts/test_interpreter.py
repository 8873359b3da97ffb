"""The engine's inner loop against py-evm's own: the same end, output, gas, logs and state."""

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
    computation = kind.apply_message(state, message, BaseTransactionContext(gas_price=0, origin=SENDER))
    error = type(computation.error).__name__ if computation.is_error else None
    # Which of several failures of a section is noticed first differs; they are the same in effect.
    error = "failed" if error not in (None, "Revert") else error
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
        computation.get_log_entries(),
        0 if error else computation.get_gas_refund(),
        tuple(state.is_storage_warm(CONTRACT, slot) for slot in range(4)),
    )


def assert_alike(code: bytes, data: bytes, gas: int) -> tuple[object, ...]:
    expected = run(ParisComputation, code, data, gas)
    assert run(InterpretedComputation, code, data, gas) == expected
    return expected


def push(value: int) -> bytes:
    encoded = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes((0x5F + len(encoded),)) + encoded


numbers = st.one_of(
    st.integers(0, 70),
    st.integers(0, 2**256 - 1),
    st.sampled_from([2**255, 2**256 - 1, 2**255 - 1, 255, 256, 257, 1023, 100_000, 2**64]),
)
opcodes = st.sampled_from(
    bytes(range(0x0C))
    + bytes(range(0x10, 0x1E))
    + bytes(range(0x50, 0x5C))
    + bytes(range(0x80, 0xA3))
    + bytes.fromhex("20303334353637383d42394690a0f3fdfe5fef")
)
pieces = st.one_of(
    numbers.map(push),
    numbers.map(push),
    opcodes.map(lambda opcode: bytes((opcode,))),
    st.tuples(st.integers(0, 200), st.booleans()).map(
        lambda jump: push(jump[0]) + (b"\x56" if jump[1] else b"\x57") + b"\x5b"
    ),
    st.tuples(st.integers(0, 3), st.integers(0, 2)).map(  # stores to few slots, so that refunds come about
        lambda change: push(change[1]) + push(change[0]) + b"\x55"
    ),
)
programs = st.lists(pieces, min_size=1, max_size=60).map(b"".join)

LOOP = bytes.fromhex(
    "6008"  # 8 rounds
    "5b"  # 2:
    "80" "602060206000" "37"  # 32 bytes of calldata to memory
    "80600052" "60206000" "20"  # hash of the round and what is there
    "81600316" "55"  # stored in slot round & 3
    "5a50"  # the gas that is left, dropped
    "6001900380" "6002" "57"  # next round
    "60ff6005" "55" "6000600555"  # set and cleared: a refund
    "60406000" "a0"  # logged
    "60206000f3"
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(programs, st.binary(max_size=80), st.one_of(st.integers(0, 3_000), st.integers(0, 200_000)))
def test_random_programs_end_alike(code: bytes, data: bytes, gas: int) -> None:
    assert_alike(code, data, gas)


@settings(max_examples=25, deadline=None)
@given(programs, st.binary(max_size=80))
def test_programs_end_alike_wherever_the_gas_runs_out(code: bytes, data: bytes) -> None:
    enough = run(ParisComputation, code, data, 2_000)
    spent = 2_000 - int(str(enough[1]))
    for gas in range(max(0, spent - 60), spent + 4):
        assert_alike(code, data, gas)


def test_loop_with_memory_storage_and_logs_ends_alike_wherever_the_gas_runs_out() -> None:
    error, left, *_ = assert_alike(LOOP, bytes(range(90)), 400_000)
    assert error is None
    spent = 400_000 - int(str(left))
    # The last store needs more than it costs to be left (EIP-2200).
    limits = [*range(0, spent, 389), *range(spent - 50, spent + 2_400, 11)]
    ends = {assert_alike(LOOP, bytes(range(90)), gas)[0] for gas in limits}
    assert ends == {None, "failed"}


@settings(max_examples=300, deadline=None)
@given(numbers, numbers, numbers, st.sampled_from([*range(0x01, 0x0C), *range(0x10, 0x1E), 0x35, 0x51]))
def test_every_arithmetic_opcode_gives_the_same_number(
    left: int, right: int, third: int, opcode: int
) -> None:
    result = bytes((opcode,)) + push(0) + b"\x52" + push(32) + push(0) + b"\xf3"
    constant = push(third) + push(right) + push(left)
    data = b"".join(value.to_bytes(32, "big") for value in (third, right, left))
    variable = b"".join(push(32 * place) + b"\x35" for place in range(3))
    outcome = assert_alike(constant + result, data, 200_000)
    assert assert_alike(variable + result, data, 200_000)[2] == outcome[2] or opcode == 0x35


@given(
    st.integers(0, 1030),
    st.integers(1, 4),
    st.sampled_from([b"\x50", b"\x01", b"\x80", b"\x93", b"\x83\x50"]),
)
@settings(max_examples=100, deadline=None)
def test_heights_of_the_stack(height: int, times: int, operation: bytes) -> None:
    """The stack is filled in a loop, so that what follows knows nothing of its height."""
    fill = push(height) + b"\x5b\x80\x60\x01\x90\x03\x80" + push(1 + len(push(height)) - 1) + b"\x57"
    assert_alike(fill + operation * times, b"", 200_000)


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
        assert_alike(code, b"", 100_000)
    assert assert_alike(push(1) * 1024, b"", 100_000)[0] is None
    assert assert_alike(push(1) * 1025, b"", 100_000)[0] == "failed"
    assert assert_alike(b"\x01", b"", 100_000)[:2] == ("failed", 0)


def test_a_jump_into_the_data_of_a_push_fails() -> None:
    code = push(3) + b"\x56" + b"\x60\x5b"
    assert assert_alike(code, b"", 100_000)[:2] == ("failed", 0)
    dynamic = push(0) + b"\x35" + b"\x56" + b"\x60\x5b\x5b"
    assert assert_alike(dynamic, (5).to_bytes(32, "big"), 100_000)[:2] == ("failed", 0)
    assert assert_alike(dynamic, (6).to_bytes(32, "big"), 100_000)[0] is None


def test_a_jump_to_where_the_execution_stood_between_opcodes_fails() -> None:
    """After an opcode of py-evm the translation begins anew there, which makes it no place to jump to."""
    code = push(0) * 2 + b"\xa0" + push(5) + b"\x56"
    assert assert_alike(code, b"", 100_000)[:2] == ("failed", 0)
