// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IFlexibility } from "contracts/interfaces/IFlexibility.sol";
import { BaselineMethod, EventTerms } from "contracts/types/Response.sol";
import { BilateralTrade } from "contracts/types/Trade.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";

/// @notice What a district could try to be paid for without helping the grid, and what it gets (domain.md §§6, 7).
contract FlexibilityAttacksTest is FlexibilityFixture {
    function _measured(uint256 eventId, bytes32 districtId) private returns (uint32[] memory) {
        if (time < FINAL) warpTo(FINAL);
        flexibility.measure(eventId, districtId);
        return flexibility.responseWh(eventId, districtId);
    }

    function _baseline(uint256 eventId) private view returns (int64) {
        (, int64[] memory values) = flexibility.baseline(eventId, HARBOUR);
        return values[0];
    }

    // --- living from a baseline --------------------------------------------------------------------------------------

    /// Nobody draws anything, ever: there is nothing to reduce, by either method.
    function test_an_idle_district_gets_nothing_and_pays() public {
        setDays(HARBOUR, DAY, EVENT_DAY, 0);
        EventTerms memory t = eventTerms();
        uint256[2] memory ids;
        for (uint8 i = 0; i < 2; ++i) {
            (t.method, t.startHour) = (BaselineMethod(i), START_HOUR - 2 * i);
            ids[i] = open(t);
            enrolHarbour(ids[i], 5_000);
            setHour(HARBOUR, t.startHour, 0);
            setHour(HARBOUR, t.startHour + 1, 0);
        }
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(_measured(ids[i], HARBOUR)[0], 0);
            flexibility.pay(ids[i], HARBOUR);
        }
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH - 2 * 2_700_000);
        assertEq(escrow.free(GRID), WEALTH + 2 * 2_700_000);
    }

    /// It hides the days on which it draws little: each counts as the lowest that it shows of that clock hour, of any day.
    function test_a_district_that_hides_its_low_days_keeps_the_lowest() public {
        setHour(HARBOUR, (EVENT_DAY - 29) * 24 + 17, 40); // a Sunday: no similar day, but it counts as the lowest
        for (uint32 back = 3; back < 8; ++back) {
            hideHour(HARBOUR, (EVENT_DAY - back) * 24 + 17);
        }
        uint256 eventId = open(eventTerms());
        (uint32[] memory used, int64[] memory values) = flexibility.baseline(eventId, HARBOUR);
        assertEq(used.length, 10);
        assertEq(int256(values[0]), (5 * 40 + 5 * LOAD_WH) / 10);
        assertEq(int256(values[1]), LOAD_WH);
    }

    /// Where everything is hidden there is no baseline: it can enrol, is paid nothing, and its deposit is gone.
    function test_a_district_that_hides_everything_pays_the_penalty() public {
        for (uint32 day = DAY; day < EVENT_DAY; ++day) {
            hideHour(HARBOUR, day * 24 + 18);
        }
        uint256 eventId = open(eventTerms());
        enrolHarbour(eventId, 5_000);
        setEvent(HARBOUR, -5_000, -5_000);
        (uint32[] memory used, int64[] memory values) = flexibility.baseline(eventId, HARBOUR);
        assertEq(used.length, 10);
        assertEq(values.length, 0);
        uint32[] memory counted = _measured(eventId, HARBOUR);
        assertEq(counted[0] + counted[1], 0);
        flexibility.pay(eventId, HARBOUR);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH - 2_700_000);
        requireReconciled();
    }

    function test_an_hour_that_is_not_complete_counts_nothing() public {
        uint256 eventId = open(eventTerms());
        enrolHarbour(eventId, 5_000);
        hideHour(HARBOUR, START_HOUR);
        setHour(HARBOUR, START_HOUR + 1, 0);
        uint32[] memory counted = _measured(eventId, HARBOUR);
        assertEq(counted[0], 0);
        assertEq(counted[1], 5_000);
        assertEq(claims.hourClaims(HARBOUR, START_HOUR).responseWh, 0);
    }

    /// The event is known: the district draws as much as it can until it begins.
    function test_loading_after_the_opening_changes_nothing() public {
        EventTerms memory t = eventTerms();
        (t.enrolUntil, t.noticeSeconds) = (uint40(uint256(START_HOUR) * 1 hours), 0);
        for (uint8 i = 0; i < 2; ++i) {
            t.method = BaselineMethod(i);
            uint256 eventId = open(t);
            setDays(HARBOUR, EVENT_DAY - 2, EVENT_DAY + 1, 900_000);
            assertEq(int256(_baseline(eventId)), LOAD_WH);
            setDays(HARBOUR, EVENT_DAY - 2, EVENT_DAY + 1, LOAD_WH);
        }
        // Opened when the three hours of the adjustment had ended, by at most a fifth; a second earlier not at all.
        uint256 windowEnds = (uint256(START_HOUR) - 1) * 1 hours;
        warpTo(windowEnds - 1);
        uint256 early = open(t);
        warpTo(windowEnds);
        uint256 late = open(t);
        setDays(HARBOUR, EVENT_DAY, EVENT_DAY + 1, 900_000);
        assertEq(int256(_baseline(early)), LOAD_WH);
        assertEq(int256(_baseline(late)), LOAD_WH * 6 / 5);
        // What it does in the last hour before the event is not in it.
        setDays(HARBOUR, EVENT_DAY, EVENT_DAY + 1, LOAD_WH);
        setHour(HARBOUR, START_HOUR - 1, 900_000);
        assertEq(int256(_baseline(late)), LOAD_WH);
    }

    /// The day of the opening counts if its event hours had ended; hours that ended a second later do not.
    function test_hours_count_that_ended_when_the_event_was_opened() public {
        uint32 monday = EVENT_DAY + 7;
        EventTerms memory t = eventTerms();
        (t.startHour, t.enrolUntil) = (monday * 24 + 17, uint40((uint256(monday) - 1) * 1 days));
        setDays(HARBOUR, EVENT_DAY, EVENT_DAY + 1, 15_000);
        warpTo(uint256(EVENT_DAY) * 1 days + 19 hours - 1);
        assertEq(int256(_baseline(open(t))), LOAD_WH);
        warpTo(uint256(EVENT_DAY) * 1 days + 19 hours);
        assertEq(int256(_baseline(open(t))), LOAD_WH + 1_000);
    }

    /// A day that a district knows to be low does not become an event day by enrolling after the opening.
    function test_event_days_are_those_decided_when_the_event_was_opened() public {
        uint32 friday = EVENT_DAY - 3;
        setDays(HARBOUR, friday, friday + 1, 15_000);
        warpTo((uint256(friday) - 1) * 1 days);
        EventTerms memory t = eventTerms();
        (t.startHour, t.enrolUntil, t.noticeSeconds) =
        (friday * 24 + 20, uint40(uint256(friday) * 1 days + 19 hours), 0);
        uint256 first = open(t);
        uint256 withdrawn = open(t);
        warpTo(uint256(friday) * 1 days + 19 hours);
        uint256 asked = open(eventTerms());
        enrolHarbour(first, 1_000);
        assertTrue(flexibility.isEventDay(HARBOUR, friday));
        warpTo(uint256(friday) * 1 days + 19 hours + 1);
        uint256 askedAfter = open(eventTerms());
        assertEq(int256(_baseline(askedAfter)), LOAD_WH, "an event day");
        assertEq(int256(_baseline(asked)), LOAD_WH + 1_000, "in that second it could still be changed");
        assertEq(withdrawn, 2);

        warpTo((uint256(friday) - 1) * 1 days);
        t.startHour = friday * 24 + 22;
        t.enrolUntil = uint40(uint256(friday) * 1 days + 21 hours);
        uint256 second = open(t);
        warpTo(uint256(friday) * 1 days + 20 hours);
        uint256 between = open(eventTerms());
        enrolHill(second, 1_000);
        setDays(HILL, friday, friday + 1, 15_000);
        (, int64[] memory values) = flexibility.baseline(between, HILL);
        assertEq(int256(values[0]), LOAD_WH + 1_000, "enrolled after the opening");
        vm.prank(gridOperator);
        flexibility.withdrawEvent(second);
        assertFalse(flexibility.isEventDay(HILL, friday));
        (, values) = flexibility.baseline(open(eventTerms()), HILL);
        assertEq(int256(values[0]), LOAD_WH + 1_000, "withdrawn");
    }

    // --- one kWh, two claims -----------------------------------------------------------------------------------------

    /// Harbour lets its import of 5,000 fall to an export of 4,000 that it has sold, or declared elsewhere: 5,000 count.
    function test_events_that_were_withdrawn_make_nothing_dear() public {
        EventTerms memory t = eventTerms();
        uint256[30] memory used;
        for (uint256 i = 0; i < used.length; ++i) {
            uint256 eventId = open(t);
            uint256 before = gasleft();
            enrolHarbour(eventId, 1_000);
            used[i] = before - gasleft();
            vm.prank(gridOperator);
            flexibility.withdrawEvent(eventId);
        }
        assertTrue(used[29] < used[1] + 5_000);
        assertFalse(flexibility.isEventDay(HARBOUR, START_HOUR / 24));
        enrolHarbour(open(t), 1_000);
        assertTrue(flexibility.isEventDay(HARBOUR, START_HOUR / 24));
    }

    function test_what_is_sold_is_no_response() public {
        EventTerms memory t = eventTerms();
        t.hourCount = 3;
        uint256 eventId = open(t);
        enrolHarbour(eventId, 10_000);
        vm.prank(harbourOwner);
        claims.declareExternal(HARBOUR, START_HOUR, 1_000, keccak256("certificate"));
        vm.prank(harbourOwner);
        claims.declareExternal(HARBOUR, START_HOUR + 1, 9_000, keccak256("certificate"));
        for (uint32 i = 0; i < 3; ++i) {
            setHour(HARBOUR, START_HOUR + i, -4_000);
        }
        vm.prank(settlementAddress);
        claims.bookDelivery(HARBOUR, START_HOUR, 2_500);
        uint32[] memory counted = _measured(eventId, HARBOUR);
        assertEq(counted[0], 5_000 + 500, "external 1,000 and delivered 2,500 of 4,000");
        assertEq(counted[1], 5_000, "all of the export is claimed elsewhere");
        assertEq(counted[2], 9_000);
    }

    /// A district that exports anyway, and sells it: no baseline makes its sale a response.
    function test_an_exporter_is_paid_for_more_export_that_is_not_sold() public {
        setDays(HARBOUR, DAY, EVENT_DAY, -3_000);
        uint256 eventId = open(eventTerms());
        enrolHarbour(eventId, 10_000);
        setEvent(HARBOUR, -4_000, -4_000);
        vm.prank(settlementAddress);
        claims.bookDelivery(HARBOUR, START_HOUR + 1, 3_400);
        uint32[] memory counted = _measured(eventId, HARBOUR);
        assertEq(counted[0], 1_000);
        assertEq(counted[1], 600);
    }

    /// Trades come first: an hour with a trade that is not settled cannot be measured, but others can.
    function test_trades_are_settled_before_the_response() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        BilateralTrade memory sold = trade(HARBOUR, HILL, 1_000, 100_000);
        sold.hour = START_HOUR;
        register(sold);
        setEvent(HARBOUR, -2_000, 0);
        setEvent(HILL, 1_000, 0);
        warpTo(FINAL);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.TradesUnsettled.selector, HARBOUR, START_HOUR));
        flexibility.measure(eventId, HARBOUR);
        flexibility.measure(eventId, HILL);
        setHour(HARBOUR, START_HOUR, 1_000); // without an export nothing of it can have been sold
        flexibility.measure(eventId, HARBOUR);
        assertEq(flexibility.responseWh(eventId, HARBOUR)[0], 4_000);
    }

    /// More import than the baseline is what an event to increase asks for; less is none.
    function test_an_increase_is_measured_upwards() public {
        EventTerms memory t = eventTerms();
        t.increase = true;
        uint256 eventId = bothEnrolled(t, 5_000, 5_000);
        setEvent(HARBOUR, 9_000, 4_000);
        setEvent(HILL, 5_099, 5_100);
        uint32[] memory counted = _measured(eventId, HARBOUR);
        assertEq(counted[0], 4_000);
        assertEq(counted[1], 0);
        counted = _measured(eventId, HILL);
        assertEq(counted[0], 0, "below the sensitivity");
        assertEq(counted[1], 100);
    }
}
