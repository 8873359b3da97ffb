"""What people tell a gateway: exchanged or reset registers, and hours to be looked at again."""

from contracts.hour import HOURS_PER_DAY, first_hour, format_time_utc, hour_of
from gateway.acceptance import point_rule
from gateway.batches import Batches
from gateway.config import GatewayConfig
from gateway.metering import MAX_GAP_HOURS, Exchange
from gateway.outbox import Intake, connect, transaction


class DeclarationInvalid(ValueError):
    """The declaration does not fit the gateway's points."""


def declare_exchange(
    config: GatewayConfig, serial: str, obis: str | None, exchange: Exchange, reason: str, now_s: int
) -> None:
    """Declare that a register was exchanged or reset; the hours around it are metered anew.

    Raises DeclarationInvalid, OutboxUnusable.
    """
    table = next((point for point in config.points if point.serial == serial), None)
    if table is None:
        raise DeclarationInvalid(f"point {serial!r} is not configured at this gateway")
    rule = point_rule(table)
    registers = rule.supply | rule.draw
    if table.posts != "register":
        raise DeclarationInvalid(f"point {serial} posts energies; it has no register to exchange")
    if obis is None and len(registers) == 1:
        (obis,) = registers
    if obis is None or obis not in registers:
        raise DeclarationInvalid(f"register {obis!r}: point {serial} has {', '.join(sorted(registers))}")
    for value_wh in (exchange.final_wh, exchange.first_wh):
        if value_wh is not None and not 0 <= value_wh < rule.register.modulus_wh:
            raise DeclarationInvalid(
                f"register value {value_wh} Wh is out of range 0 to {rule.register.modulus_wh - 1} Wh"
            )
    if not reason:
        raise DeclarationInvalid("give a reason; it is kept with the declaration")
    if exchange.time_s > now_s:
        raise DeclarationInvalid(f"{format_time_utc(exchange.time_s)} is in the future")
    connection = connect(config.gateway.data)
    try:
        with transaction(connection):
            outbox = Intake(connection)
            point = outbox.point_row(serial)
            outbox.put_exchange(point, obis, exchange, reason, now_s)
            before, after = outbox.boundary_hours(point, obis, hour_of(exchange.time_s))
            here = hour_of(exchange.time_s)
            first = here if before is None else max(before, here - MAX_GAP_HOURS)
            end = here + 1 if after is None else min(after, here + 2 * MAX_GAP_HOURS)
            outbox.touch({(table.private, hour): now_s for hour in range(first, end)})
    finally:
        connection.close()


def resend_day(config: GatewayConfig, day: int, now_s: int) -> None:
    """Have a day's hours looked at again, for example after what the Ledger refused was put right.

    What the chain holds already is not sent twice. Raises OutboxUnusable.
    """
    connection = connect(config.gateway.data)
    try:
        with transaction(connection):
            hours = range(first_hour(day), first_hour(day) + HOURS_PER_DAY)
            for private in {point.private for point in config.points}:
                Batches(connection).touch(private, hours, now_s)
    finally:
        connection.close()
