"""What the translated code calls: signed arithmetic, memory that grows, storage; with py-evm's gas."""

from typing import Any, NoReturn

from eth.exceptions import FullStack, InsufficientStack, InvalidJumpDestination, OutOfGas, WriteProtection
from eth.vm.forks.berlin.constants import COLD_SLOAD_COST, WARM_STORAGE_READ_COST
from eth.vm.forks.london.storage import GAS_SCHEDULE_EIP3529 as SCHEDULE

from contracts.keccak import keccak

STACK_LIMIT = 1024
STORE_STIPEND = 2300
"""With so much gas or less a store fails (EIP-2200)."""
WORD, SIGN, CEILING = (1 << 256) - 1, 1 << 255, 1 << 256
ZERO = bytes(1)


def fail(gas: int, height: int, needed: int) -> NoReturn:
    """Raise what is wrong with a section that cannot run as a whole."""
    if height < needed:
        raise InsufficientStack("not enough values on the stack")
    if gas < 0:
        raise OutOfGas("out of gas")
    raise FullStack("stack limit reached")


def fail_jump(target: int) -> NoReturn:
    """A jump to where no JUMPDEST is."""
    raise InvalidJumpDestination(f"invalid jump destination {target}")


def signed(value: int) -> int:
    """The number that a word stands for in two's complement."""
    return value - CEILING if value & SIGN else value


def signed_divide(left: int, right: int) -> int:
    """SDIV: the quotient, towards zero."""
    dividend, divisor = signed(left), signed(right)
    if divisor == 0:
        return 0
    quotient = abs(dividend) // abs(divisor)
    return (quotient if (dividend < 0) == (divisor < 0) else -quotient) & WORD


def signed_modulo(left: int, right: int) -> int:
    """SMOD: the remainder, with the sign of the dividend."""
    dividend, divisor = signed(left), signed(right)
    if divisor == 0:
        return 0
    remainder = abs(dividend) % abs(divisor)
    return (-remainder if dividend < 0 else remainder) & WORD


def sign_extend(byte: int, value: int) -> int:
    """SIGNEXTEND: the word of the number in the lowest `byte` + 1 bytes."""
    if byte > 30:
        return value
    bit = 8 * byte + 7
    if value >> bit & 1:
        return value | WORD - ((1 << bit) - 1)
    return value & (1 << bit) - 1


def shift_signed(shift: int, value: int) -> int:
    """SAR."""
    return signed(value) >> min(shift, 256) & WORD


def grow(memory: bytearray, end: int, gas: int) -> int:
    """Enlarge the memory to hold `end` bytes; the gas left. Raises OutOfGas."""
    before, after = len(memory) >> 5, end + 31 >> 5
    gas -= 3 * (after - before) + (after * after >> 9) - (before * before >> 9)
    if gas < 0:
        raise OutOfGas("out of gas")
    memory.extend(bytes((after - before) << 5))
    return gas


def hash_memory(memory: bytearray, start: int, size: int, gas: int) -> tuple[int, int]:
    """KECCAK256: the hash of a part of the memory, and the gas left. Raises OutOfGas."""
    if size:
        if start + size > len(memory):
            gas = grow(memory, start + size, gas)
        gas -= 6 * (size + 31 >> 5)
        if gas < 0:
            raise OutOfGas("out of gas")
        return int.from_bytes(keccak(bytes(memory[start : start + size])), "big"), gas
    return int.from_bytes(keccak(b""), "big"), gas


def copy(memory: bytearray, start: int, data: bytes, first: int, size: int, gas: int) -> int:
    """CALLDATACOPY: zeros where `data` has ended; the gas left. Raises OutOfGas."""
    if size:
        if start + size > len(memory):
            gas = grow(memory, start + size, gas)
        gas -= 3 * (size + 31 >> 5)
        if gas < 0:
            raise OutOfGas("out of gas")
        memory[start : start + size] = data[first : first + size].ljust(size, ZERO)
    return gas


def load(computation: Any, slot: int, gas: int) -> tuple[int, int]:
    """SLOAD: the value, and the gas left; the first access in a transaction is dearer. Raises OutOfGas."""
    state, address = computation.state, computation.msg.storage_address
    if state.is_storage_warm(address, slot):
        gas -= WARM_STORAGE_READ_COST
    else:
        state.mark_storage_warm(address, slot)
        gas -= COLD_SLOAD_COST
    if gas < 0:
        raise OutOfGas("out of gas")
    return state.get_storage(address, slot), gas


def store(computation: Any, slot: int, value: int, gas: int) -> int:
    """SSTORE with its refunds; the gas left. Raises OutOfGas or WriteProtection."""
    if computation.msg.is_static:
        raise WriteProtection("a static call stores nothing")
    if gas <= STORE_STIPEND:
        raise OutOfGas("out of gas")
    state, address = computation.state, computation.msg.storage_address
    if not state.is_storage_warm(address, slot):
        state.mark_storage_warm(address, slot)
        gas -= COLD_SLOAD_COST
    current = state.get_storage(address, slot)
    price = WARM_STORAGE_READ_COST
    if current != value:
        original = state.get_storage(address, slot, False)
        if original == current:
            price = SCHEDULE.sstore_reset_gas if original else SCHEDULE.sstore_set_gas
        refund = _refund(original, current, value)
        if refund:
            computation.refund_gas(refund)
    gas -= price
    if gas < 0:
        raise OutOfGas("out of gas")
    if current != value:
        state.set_storage(address, slot, value)
    return gas


def _refund(original: int, current: int, value: int) -> int:
    """Gas given back by a change from `current` to `value`, when `original` began the transaction."""
    refund = 0
    if original:
        if current and not value:
            refund = SCHEDULE.sstore_clears_schedule
        elif value and not current:
            refund = -SCHEDULE.sstore_clears_schedule
    if original == value:
        first = SCHEDULE.sstore_reset_gas if original else SCHEDULE.sstore_set_gas
        refund += first - SCHEDULE.sload_gas
    return refund


NAMESPACE: dict[str, Any] = {
    "from_bytes": int.from_bytes,
    **{
        function.__name__: function
        for function in (
            copy,
            fail,
            fail_jump,
            grow,
            hash_memory,
            load,
            shift_signed,
            sign_extend,
            signed_divide,
            signed_modulo,
            store,
        )
    },
    "ZERO": ZERO,
}
