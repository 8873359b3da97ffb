// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BaselineMethod, EventTerms } from "contracts/types/Response.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";

/// @notice Committed gas figures: whole transactions, cold storage.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract FlexibilityGasTest is FlexibilityFixture {
    function test_an_event_of_two_hours() public {
        vm.prank(gridOperator);
        uint256 eventId = flexibility.openEvent(eventTerms());
        vm.snapshotGasLastCall("Flexibility", "open");
        vm.prank(harbourOwner);
        flexibility.enrol(eventId, HARBOUR, 5_000);
        vm.snapshotGasLastCall("Flexibility", "enrol");
        enrolHill(eventId, 5_000);
        setEvent(HARBOUR, 0, 0);
        setEvent(HILL, 0, 0);
        warpTo(FINAL);
        flexibility.measure(eventId, HARBOUR);
        vm.snapshotGasLastCall("Flexibility", "measure_2_hours");
        flexibility.measure(eventId, HILL);
        flexibility.pay(eventId, HARBOUR);
        vm.snapshotGasLastCall("Flexibility", "pay");
        flexibility.pay(eventId, HILL);
        vm.snapshotGasLastCall("Flexibility", "pay_last");
        requireReconciled();
    }

    function test_one_hour() public {
        EventTerms memory t = eventTerms();
        t.hourCount = 1;
        _measure(t, "measure_1_hour");
    }

    function test_one_hour_with_adjustment() public {
        EventTerms memory t = eventTerms();
        (t.hourCount, t.noticeSeconds, t.enrolUntil) = (1, 0, uint40(uint256(START_HOUR) * 1 hours));
        setDays(HARBOUR, EVENT_DAY, EVENT_DAY + 1, LOAD_WH);
        warpTo(uint256(START_HOUR) * 1 hours);
        _measure(t, "measure_1_hour_adjusted");
    }

    function test_one_hour_by_the_five_highest_days() public {
        EventTerms memory t = eventTerms();
        (t.hourCount, t.method) = (1, BaselineMethod.HighFiveOfTen);
        _measure(t, "measure_1_hour_high_5");
    }

    /// A hidden hour makes it look at all 46 days.
    function test_one_hour_of_a_hidden_day() public {
        hideHour(HARBOUR, (EVENT_DAY - 3) * 24 + 17);
        EventTerms memory t = eventTerms();
        t.hourCount = 1;
        _measure(t, "measure_1_hour_hidden");
    }

    /// The worst: every hour of a day, hidden on a day of the ten.
    function test_a_day_of_hidden_hours() public {
        for (uint32 day = DAY; day < EVENT_DAY; ++day) {
            for (uint32 clock = 0; clock < 24; ++clock) {
                if (day != EVENT_DAY - 3) setHour(HARBOUR, day * 24 + clock, LOAD_WH);
                else hideHour(HARBOUR, day * 24 + clock);
            }
        }
        EventTerms memory t = eventTerms();
        (t.hourCount, t.startHour) = (24, EVENT_DAY * 24);
        _measure(t, "measure_24_hours_hidden");
    }

    function _measure(EventTerms memory t, string memory name) private {
        uint256 eventId = open(t);
        enrolHarbour(eventId, 5_000);
        for (uint32 i = 0; i < t.hourCount; ++i) {
            setHour(HARBOUR, t.startHour + i, 0);
        }
        warpTo(FINAL);
        flexibility.measure(eventId, HARBOUR);
        vm.snapshotGasLastCall("Flexibility", name);
        assertEq(flexibility.responseWh(eventId, HARBOUR)[0], 5_000);
        flexibility.baseline(eventId, HARBOUR);
        vm.snapshotGasLastCall("Flexibility", string.concat("baseline_of_", name));
    }
}
