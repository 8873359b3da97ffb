"""What happens after a reading was sent: late readings, a compromised key, an adjustment after finality."""

import random
from pathlib import Path

import httpx2

from contracts.hour import DAY_S, HOUR_S, first_hour
from contracts.keccak import keccak
from contracts.key import SigningKey
from contracts.reading import Adjustment, OpenSection, Record, Status, pack_open, unpack_open
from contracts.verification import verify
from scripts.replay.case import advance_case, open_case
from scripts.replay.gateways import KEYSTORE_ITERATIONS, PASSWORD
from scripts.replay.processes import listening
from tests.journeys.town import DISTRICT, HOMES, PLANT, Town, energies, restart, running_town, wait_until


def _late_reading_corrects(town: Town, rng: random.Random) -> None:
    """The hour's PV comes after the gateway's patience: one correction, both versions provable."""
    day = town.first_day
    hours = {hour: energies(rng) for hour in range(first_hour(day), first_hour(day + 1))}
    late = first_hour(day) + 12
    pv = {"pv-1": hours[late]["pv-1"]}
    without = {**hours, late: {name: value for name, value in hours[late].items() if name != "pv-1"}}
    town.pass_time((day + 1) * DAY_S + 300)
    for gateway_id in (PLANT, HOMES):
        town.post(gateway_id, without)
    town.wait_for_receipts()
    town.pass_time((day + 2) * DAY_S + 2 * HOUR_S)
    wait_until(lambda: town.covered(day), "the incomplete day is on chain")
    assert town.hour_sums(late)[2] == 0
    before = town.platform.stream(PLANT, day)

    town.post(PLANT, {late: pv})
    town.wait_for_receipts()
    wait_until(
        lambda: town.platform.stream(PLANT, day).last_sequence > before.last_sequence, "the correction"
    )
    town.check_chain()
    batches = town.batches()[PLANT, day, False]
    old = next(batch for batch in batches if batch.sequence == before.holders[12])
    new = next(batch for batch in batches if batch.sequence == town.platform.stream(PLANT, day).holders[12])
    assert new.replaces == old.sequence
    records = [
        next(section.records[1] for section in unpack_open(batch.payload, 3) if section.hour_of_day == 12)
        for batch in (old, new)
    ]
    assert records == [Record(Status.MISSING, 0, 0), Record(Status.MEASURED, pv["pv-1"][0] or 0, 0)]
    for batch in (old, new):
        assert town.platform.batch_hash(PLANT, day, False, batch.sequence) == keccak(batch.payload)


def _compromised_key_is_replaced(town: Town, rng: random.Random) -> None:
    """Readings wait while there is no key; with the next one they and the tainted hours are signed anew."""
    day = town.first_day + 2
    setting, platform = town.setting(PLANT), town.platform
    operator = town.world.founder.accounts.operator
    since = town.chain.block().time_s - DAY_S
    town.chain.wait(platform.revoke_key(operator, PLANT, since))
    town.post_day(day, rng)
    town.post_day(day - 1, rng)
    town.wait_for_receipts()
    wait_until(
        lambda: "CompromiseUnscanned" in str(town.where(PLANT, "grid-1", first_hour(day))["reason"]),
        "the gateway says why it waits",
    )
    assert platform.stream(PLANT, day).last_sequence == 0

    following = SigningKey.generate()
    town.chain.wait(platform.rotate_key(operator, PLANT, following.address))
    while platform.compromises_scanned(DISTRICT) == 0:
        town.chain.wait(platform.scan_compromise(town.world.founder.accounts.caller, DISTRICT, 40))
    assert platform.stream(PLANT, town.first_day).tainted_hours != 0

    process = town.world.gateways[PLANT]
    process.stop()
    keystore = setting.config.parent / f"{PLANT}.json"
    keystore.unlink()
    following.save(keystore, PASSWORD, KEYSTORE_ITERATIONS)
    restart(process, lambda: listening(setting.http_port))
    for number in (day - 1, day):
        wait_until(lambda number=number: town.covered(number), "signed anew")  # type: ignore[misc]
    wait_until(
        lambda: platform.stream(PLANT, town.first_day).tainted_hours == 0, "the tainted hours are signed anew"
    )
    town.check_chain()
    assert {batch.key for batch in town.batches()[PLANT, day, False]} == {following.address}


def test_late_readings_a_compromised_key_and_an_adjustment(tmp_path: Path) -> None:
    rng = random.Random(2)
    with running_town(tmp_path) as town:
        platform, accounts = town.platform, town.world.founder.accounts
        case = open_case(town.world.founder, town.config, town.config.district[0])
        _late_reading_corrects(town, rng)
        _compromised_key_is_replaced(town, rng)

        last = town.first_day + 2
        town.make_final(last)
        advance_case(town.world.founder, case, town.chain.block().time_s)
        name = "0x" + case.assessment_id.hex()
        assert platform.assessment(case.assessment_id).frontier == last + 1
        town.check_projection(name)
        before = {hour.start_time_utc: hour for hour in town.projection(name)}

        # After finality only meter operator and auditor together change an hour.
        day, hour = last, first_hour(last) + 9
        stream = platform.stream(PLANT, day)
        replaced = next(
            batch for batch in town.batches()[PLANT, day, False] if batch.sequence == stream.holders[9]
        )
        sections = [
            OpenSection(
                section.hour_of_day,
                (section.records[0], Record(Status.MEASURED, 12_345, 0), section.records[2])
                if section.hour_of_day == 9
                else section.records,
            )
            for section in unpack_open(replaced.payload, 3)
        ]
        message = Adjustment(
            PLANT,
            day,
            stream.last_sequence + 1,
            replaced.sequence,
            False,
            keccak(b"test report of the meter"),
            0,
            pack_open(sections),
        )
        domain = platform.deployment.signing_domain
        signatures = message.sign(accounts.operator, domain), message.sign(accounts.auditor, domain)
        totals = platform.cumulative(case.assessment_id, day + 1)[0]
        town.chain.wait(platform.adjust(accounts.caller, message, *signatures, replaced.payload))
        assert platform.adjustment_count(DISTRICT) > 0
        town.chain.wait(platform.book_adjustments(accounts.caller, case.assessment_id, 50))
        assert town.hour_sums(hour)[2] == 12_345
        assert (
            totals == platform.cumulative(case.assessment_id, day + 1)[0]
        )  # what was final is not rewritten

        after = {entry.start_time_utc: entry for entry in town.projection(name)}
        changed = [when for when in after if after[when] != before[when]]
        assert [int(when.timestamp()) // HOUR_S for when in changed] == [hour]
        assert after[changed[0]].production_wh == 12_345

        url = f"{town.world.pages_url}v1/certificates/{case.certificate_id}/bundle"
        bundle = httpx2.get(url, timeout=60)
        assert bundle.status_code == 200, bundle.text
        report = verify(bundle.content)
        assert report.block_number == town.chain.head()
