// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IEscrow } from "contracts/interfaces/IEscrow.sol";
import { IFlexibility } from "contracts/interfaces/IFlexibility.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { CertifiedHour } from "contracts/libraries/CertifiedHour.sol";
import { BaselineMethod, Enrolment, EventStatus, EventTerms, ResponseEvent } from "contracts/types/Response.sol";
import { FlexibilityFixture } from "testing/FlexibilityFixture.sol";

/// @notice Who may do what and when; every state change with its wrong callers, repetitions and ends.
contract FlexibilityTest is FlexibilityFixture {
    address private immutable otherGridOperator = _account("other grid operator");

    function _status(uint256 eventId) private view returns (EventStatus) {
        return flexibility.responseEvent(eventId).status;
    }

    function _requireStatus(uint256 eventId, EventStatus expected) private view {
        assertEq(uint256(_status(eventId)), uint256(expected), "status");
    }

    // --- opening -----------------------------------------------------------------------------------------------------

    function test_an_event_holds_its_budget_rounded_up() public {
        EventTerms memory t = eventTerms();
        (t.requestedWh, t.priceMicroEurPerKwh, t.hourCount) = (3, 167, 2);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.EventOpened(1, ZONE, GRID, t, 2);
        assertEq(open(t), 1);
        assertEq(responseHeldOf(GRID), 2, "3 * 167 * 2 / 1000 rounded up");
        assertEq(open(eventTerms()), 2);
        assertEq(responseHeldOf(GRID), 2 + 4_000_000);
        assertEq(flexibility.eventCount(), 2);
        ResponseEvent memory e = flexibility.responseEvent(2);
        assertEq(e.operatorOrg, GRID);
        assertEq(e.openedAt, OPENED);
        assertEq(e.budget, 4_000_000);
        assertEq(e.terms.requestedWh, 10_000);
        _requireStatus(2, EventStatus.Open);
    }

    function test_only_grid_operators_open_and_only_with_money() public {
        EventTerms memory t = eventTerms();
        for (uint256 i = 0; i < 3; ++i) {
            address caller = [stranger, harbourOwner, publisher][i];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotGridOperator.selector, caller));
            flexibility.openEvent(t);
        }
        (t.requestedWh, t.priceMicroEurPerKwh, t.penaltyMicroEurPerKwh) =
        (type(uint32).max, type(uint32).max, type(uint32).max);
        uint256 budget = (uint256(type(uint32).max) * type(uint32).max * 2 + 999) / 1000;
        vm.prank(gridOperator);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientFree.selector, GRID, WEALTH, budget));
        flexibility.openEvent(t);
        assertEq(flexibility.eventCount(), 0);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.UnknownEvent.selector, 1));
        flexibility.responseEvent(1);
    }

    function _refuseTerms(EventTerms memory t, string memory name, uint256 value) private {
        vm.prank(gridOperator);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.TermsInvalid.selector, name, value));
        flexibility.openEvent(t);
    }

    function test_terms_have_ends() public {
        EventTerms memory t = eventTerms();
        t.zone = 0;
        _refuseTerms(t, "zone", 0);
        t = eventTerms();
        t.hourCount = 0;
        _refuseTerms(t, "hourCount", 0);
        t.hourCount = 8;
        _refuseTerms(t, "hourCount", 8);
        t.hourCount = 7;
        open(t);
        t = eventTerms();
        t.requestedWh = 0;
        _refuseTerms(t, "requestedWh", 0);
        t = eventTerms();
        t.penaltyMicroEurPerKwh = PRICE - 1;
        _refuseTerms(t, "penaltyMicroEurPerKwh", PRICE - 1);
        t.penaltyMicroEurPerKwh = PRICE;
        open(t);
    }

    function test_an_event_leaves_time_to_enrol_and_to_act() public {
        EventTerms memory t = eventTerms();
        t.enrolUntil = uint40(OPENED - 1);
        _refuseTerms(t, "enrolUntil", OPENED - 1);
        t.enrolUntil = uint40(OPENED);
        open(t);
        t.noticeSeconds = 1 hours;
        t.enrolUntil = uint40(uint256(START_HOUR) * 1 hours - 1 hours + 1);
        _refuseTerms(t, "enrolUntil", t.enrolUntil);
        --t.enrolUntil;
        open(t);
        t.noticeSeconds = type(uint32).max;
        _refuseTerms(t, "enrolUntil", t.enrolUntil);
        t = eventTerms();
        t.startHour = uint32(OPENED / 1 hours + 400 * 24 + 1);
        t.hourCount = 1;
        _refuseTerms(t, "startHour", t.startHour);
        --t.startHour;
        open(t);
        t.startHour = type(uint32).max;
        t.hourCount = type(uint8).max;
        _refuseTerms(t, "hourCount", 255);
    }

    // --- enrolling ---------------------------------------------------------------------------------------------------

    function test_a_district_enrols_with_a_deposit_for_the_greatest_penalty() public {
        uint256 eventId = open(eventTerms());
        warpTo(ENROL_UNTIL);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.Enrolled(eventId, HARBOUR, 5_001, 2 * 1_350_000, 10);
        enrolHarbour(eventId, 5_001);
        assertEq(responseHeldOf(HARBOUR_OWNERS), 2_700_000, "twice 300 EUR/MWh for floor(0.9 * 5001) Wh");
        Enrolment memory e = flexibility.enrolment(eventId, HARBOUR);
        assertEq(e.capacityWh, 5_001);
        assertEq(e.deposit, 2_700_000);
        assertFalse(e.isMeasured || e.isPaid);
        assertEq(flexibility.enrolment(eventId, HILL).capacityWh, 0);
        warpTo(ENROL_UNTIL + 1);
        vm.prank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.EnrolmentClosed.selector, eventId, ENROL_UNTIL));
        flexibility.enrol(eventId, HILL, 1);
        _requireStatus(eventId, EventStatus.Committed);
    }

    function _refuseEnrolment(address caller, uint256 eventId, bytes32 districtId, uint32 wh, bytes memory reason)
        private
    {
        vm.prank(caller);
        vm.expectRevert(reason);
        flexibility.enrol(eventId, districtId, wh);
    }

    function test_only_the_owner_enrols_once_what_was_asked_for_in_the_zone() public {
        uint256 eventId = open(eventTerms());
        bytes memory notOwner = abi.encodeWithSelector(IFlexibility.NotDistrictOwner.selector, hillOwner, HARBOUR);
        _refuseEnrolment(hillOwner, eventId, HARBOUR, 1, notOwner);
        notOwner = abi.encodeWithSelector(IFlexibility.NotDistrictOwner.selector, operator, HARBOUR);
        _refuseEnrolment(operator, eventId, HARBOUR, 1, notOwner);
        bytes memory unknown = abi.encodeWithSelector(IRegistry.UnknownDistrict.selector, bytes32("none"));
        _refuseEnrolment(hillOwner, eventId, "none", 1, unknown);
        unknown = abi.encodeWithSelector(IFlexibility.UnknownEvent.selector, 7);
        _refuseEnrolment(hillOwner, 7, HILL, 1, unknown);
        _refuseEnrolment(harbourOwner, eventId, HARBOUR, 0, abi.encodeWithSelector(IFlexibility.CapacityZero.selector));
        bytes memory tooMuch = abi.encodeWithSelector(IFlexibility.CapacityAboveRequest.selector, 10_001, 10_000);
        _refuseEnrolment(harbourOwner, eventId, HARBOUR, 10_001, tooMuch);
        enrolHarbour(eventId, 10_000);
        bytes memory again = abi.encodeWithSelector(IFlexibility.AlreadyEnrolled.selector, eventId, HARBOUR);
        _refuseEnrolment(harbourOwner, eventId, HARBOUR, 1, again);

        EventTerms memory t = eventTerms();
        t.zone = "fr";
        eventId = open(t);
        bytes memory zone = abi.encodeWithSelector(IFlexibility.WrongZone.selector, HILL, ZONE, bytes32("fr"));
        _refuseEnrolment(hillOwner, eventId, HILL, 1, zone);
    }

    function test_a_dismissed_owner_does_not_enrol() public {
        uint256 eventId = open(eventTerms());
        bytes32 role = registry.DISTRICT_OWNER();
        vm.prank(administrator);
        registry.dismiss(hillOwner, role);
        bytes memory reason = abi.encodeWithSelector(IFlexibility.NotDistrictOwner.selector, hillOwner, HILL);
        _refuseEnrolment(hillOwner, eventId, HILL, 1, reason);
    }

    function test_the_deposit_must_be_there() public {
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH - 1, hillOwner);
        uint256 eventId = open(eventTerms());
        bytes memory reason = abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HILL_OWNERS, 1, 2 * 2_700_000);
        _refuseEnrolment(hillOwner, eventId, HILL, 10_000, reason);
        assertFalse(flexibility.isEventDay(HILL, EVENT_DAY));
        enrolHill(eventId, 1); // floor(0.9) Wh: no penalty
        assertEq(responseHeldOf(HILL_OWNERS), 0);
    }

    function test_fewer_than_five_similar_days_are_told_at_enrolment() public {
        EventTerms memory t = eventTerms();
        t.startHour = (DAY + 9) * 24 + 17; // Monday; five working days since the first with points
        t.enrolUntil = uint40((uint256(DAY) + 9) * 1 days);
        t.noticeSeconds = 0;
        warpTo((uint256(DAY) + 6) * 1 days + 19 hours - 1); // Friday, one second before the event's hours have ended
        bytes memory reason = abi.encodeWithSelector(IFlexibility.TooFewBaselineDays.selector, HARBOUR, 4, 5);
        _refuseEnrolment(harbourOwner, open(t), HARBOUR, 1, reason);
        warpTo((uint256(DAY) + 6) * 1 days + 19 hours);
        uint256 eventId = open(t);
        enrolHarbour(eventId, 1);
        (uint32[] memory used, int64[] memory values) = flexibility.baseline(eventId, HARBOUR);
        assertEq(used.length, 5);
        assertEq(used[0], DAY + 2);
        assertEq(used[4], DAY + 6);
        assertEq(values[1], LOAD_WH);
    }

    function test_a_district_has_one_event_in_an_hour() public {
        EventTerms memory t = eventTerms();
        enrolHarbour(open(t), 1_000);
        for (uint32 i = 0; i < 3; ++i) {
            t.startHour = START_HOUR - 1 + i;
            uint256 eventId = open(t);
            uint32 taken = i == 2 ? START_HOUR + 1 : START_HOUR;
            bytes memory reason = abi.encodeWithSelector(IFlexibility.HoursTaken.selector, HARBOUR, taken);
            _refuseEnrolment(harbourOwner, eventId, HARBOUR, 1_000, reason);
            enrolHill(eventId, 1_000);
            vm.prank(gridOperator);
            flexibility.withdrawEvent(eventId);
        }
        t.startHour = START_HOUR + 2;
        enrolHarbour(open(t), 1_000);
        t.startHour = START_HOUR - 2;
        enrolHarbour(open(t), 1_000);
        assertTrue(flexibility.isEventDay(HARBOUR, EVENT_DAY));
        assertFalse(flexibility.isEventDay(HARBOUR, EVENT_DAY - 1));
        assertFalse(flexibility.isEventDay(HILL, EVENT_DAY));
    }

    // --- withdrawing -------------------------------------------------------------------------------------------------

    function test_an_operator_withdraws_its_event_while_districts_can_enrol() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        vm.prank(administrator);
        registry.registerOrganisation("other-grid", "Other grid operator");
        bytes32 role = registry.GRID_OPERATOR();
        vm.prank(administrator);
        registry.enrol(otherGridOperator, "other-grid", role);
        for (uint256 i = 0; i < 3; ++i) {
            address caller = [otherGridOperator, publisher, harbourOwner][i];
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotEventOperator.selector, caller, GRID));
            flexibility.withdrawEvent(eventId);
        }
        warpTo(ENROL_UNTIL + 1);
        vm.prank(gridOperator);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.EnrolmentClosed.selector, eventId, ENROL_UNTIL));
        flexibility.withdrawEvent(eventId);
        warpTo(ENROL_UNTIL);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.EventWithdrawn(eventId);
        vm.startPrank(gridOperator);
        flexibility.withdrawEvent(eventId);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.WithdrawnEvent.selector, eventId));
        flexibility.withdrawEvent(eventId);
        vm.stopPrank();
        assertEq(escrow.free(GRID), WEALTH);
        _requireStatus(eventId, EventStatus.Withdrawn);
        assertFalse(flexibility.isEventDay(HARBOUR, EVENT_DAY));
    }

    function test_a_withdrawn_event_gives_everything_back() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        vm.prank(gridOperator);
        flexibility.withdrawEvent(eventId);
        enrolHarbour(open(eventTerms()), 10_000); // its hours are free again
        vm.prank(gridOperator);
        flexibility.withdrawEvent(2);
        bytes memory reason = abi.encodeWithSelector(IFlexibility.WithdrawnEvent.selector, eventId);
        _refuseEnrolment(hillOwner, eventId, HILL, 1, reason);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.ResponsePaid(eventId, HARBOUR, 0, 0, 2 * 1_350_000);
        vm.prank(stranger);
        flexibility.pay(eventId, HARBOUR);
        flexibility.pay(eventId, HILL);
        flexibility.pay(2, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.AlreadyPaid.selector, eventId, HILL));
        flexibility.pay(eventId, HILL);
        requireReconciled();
        _requireStatus(eventId, EventStatus.Withdrawn);
        warpTo(FINAL);
        vm.expectRevert(reason);
        flexibility.measure(eventId, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NothingToReturn.selector, eventId));
        flexibility.returnBudget(eventId);
    }

    function test_an_event_without_districts_returns_its_budget_once() public {
        uint256 eventId = open(eventTerms());
        warpTo(ENROL_UNTIL);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.EnrolmentOpen.selector, eventId, ENROL_UNTIL));
        flexibility.returnBudget(eventId);
        warpTo(ENROL_UNTIL + 1);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.EventSettled(eventId, 0, 4_000_000);
        vm.prank(stranger);
        flexibility.returnBudget(eventId);
        requireReconciled();
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NothingToReturn.selector, eventId));
        flexibility.returnBudget(eventId);
        _requireStatus(eventId, EventStatus.Settled);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.UnknownEvent.selector, 0));
        flexibility.returnBudget(0);
    }

    function test_an_event_with_districts_returns_its_budget_by_paying_only() public {
        uint256 eventId = open(eventTerms());
        enrolHarbour(eventId, 5_000);
        warpTo(FINAL);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NothingToReturn.selector, eventId));
        flexibility.returnBudget(eventId);
    }

    // --- measuring and paying ----------------------------------------------------------------------------------------

    function test_a_district_is_measured_once_when_the_day_is_final() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        setEvent(HARBOUR, 1_000, 4_900);
        warpTo(FINAL - 1);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.DayNotFinal.selector, EVENT_DAY, FINAL));
        flexibility.measure(eventId, HARBOUR);
        warpTo(FINAL);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotEnrolled.selector, eventId, bytes32("none")));
        flexibility.measure(eventId, "none");
        (int64[] memory b, int64[] memory m, uint32[] memory r) = (new int64[](2), new int64[](2), new uint32[](2));
        (b[0], b[1], m[0], m[1], r[0], r[1]) = (5_000, 5_000, 1_000, 4_900, 4_000, 100);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.Measured(eventId, HARBOUR, b, m, r);
        vm.prank(stranger);
        flexibility.measure(eventId, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.AlreadyMeasured.selector, eventId, HARBOUR));
        flexibility.measure(eventId, HARBOUR);
        uint32[] memory counted = flexibility.responseWh(eventId, HARBOUR);
        assertEq(counted[0], 4_000);
        assertEq(counted[1], 100);
        assertEq(claims.hourClaims(HARBOUR, START_HOUR).responseWh, 4_000);
        assertEq(claims.hourClaims(HARBOUR, START_HOUR + 1).responseWh, 100);
        _requireStatus(eventId, EventStatus.Committed);
        assertTrue(flexibility.enrolment(eventId, HARBOUR).isMeasured);
    }

    function test_districts_are_paid_once_after_all_are_measured() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        setEvent(HARBOUR, 1_000, 0);
        setEvent(HILL, 2_500, 5_000);
        warpTo(FINAL);
        flexibility.measure(eventId, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotAllMeasured.selector, eventId, 1, 2));
        flexibility.pay(eventId, HARBOUR);
        flexibility.measure(eventId, HILL);
        _requireStatus(eventId, EventStatus.Measured);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotEnrolled.selector, eventId, bytes32("none")));
        flexibility.pay(eventId, "none");
        // Harbour delivers 4,000 of 4,500 and 5,000; hill 2,500 of 4,500 and nothing.
        vm.expectEmit(address(flexibility));
        emit IFlexibility.ResponsePaid(eventId, HARBOUR, 1_800_000, 150_000, 2_700_000 - 150_000);
        vm.prank(stranger);
        flexibility.pay(eventId, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.AlreadyPaid.selector, eventId, HARBOUR));
        flexibility.pay(eventId, HARBOUR);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.ResponsePaid(eventId, HILL, 500_000, 1_950_000, 2_700_000 - 1_950_000);
        vm.expectEmit(address(flexibility));
        emit IFlexibility.EventSettled(eventId, 2_300_000, 1_700_000);
        flexibility.pay(eventId, HILL);
        requireReconciled();
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH + 1_800_000 - 150_000);
        assertEq(escrow.free(HILL_OWNERS), WEALTH + 500_000 - 1_950_000);
        assertEq(escrow.free(GRID), WEALTH - 2_300_000 + 2_100_000);
        ResponseEvent memory e = flexibility.responseEvent(eventId);
        assertEq(e.spent, 2_300_000);
        _requireStatus(eventId, EventStatus.Settled);
    }

    /// A compromise that the ledger has not looked into holds its district up, until anyone makes it look.
    function test_nothing_that_a_compromised_key_signed_counts() public {
        uint256 eventId = bothEnrolled(eventTerms(), 5_000, 5_000);
        warpTo(_closeOf(EVENT_DAY, 23));
        bytes memory payload = abi.encodePacked(uint8(17), measured(0, 0), uint8(18), measured(0, 0));
        record(PLANT_KEY, batch(PLANT, EVENT_DAY, 1, 0, payload));
        vm.prank(operator);
        registry.revokeKey(PLANT, uint64(time));
        setEvent(HILL, 0, 0);
        warpTo(FINAL);
        vm.expectRevert(abi.encodeWithSelector(CertifiedHour.CompromisePending.selector, HARBOUR, 0, 1));
        flexibility.measure(eventId, HARBOUR);
        flexibility.measure(eventId, HILL);
        vm.prank(stranger);
        assertTrue(ledger.scanCompromise(HARBOUR, type(uint256).max));
        flexibility.measure(eventId, HARBOUR);
        assertEq(flexibility.responseWh(eventId, HARBOUR)[0], 0);
        assertEq(flexibility.responseWh(eventId, HILL)[0], 5_000);
        flexibility.pay(eventId, HARBOUR);
        flexibility.pay(eventId, HILL);
        requireReconciled();
    }

    function test_views_know_what_is_there() public {
        uint256 eventId = open(eventTerms());
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotEnrolled.selector, eventId, HARBOUR));
        flexibility.responseWh(eventId, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.UnknownEvent.selector, 2));
        flexibility.enrolment(2, HARBOUR);
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.UnknownEvent.selector, 2));
        flexibility.baseline(2, HARBOUR);
    }

    function test_the_contract_wants_to_be_named() public {
        vm.expectRevert(abi.encodeWithSelector(IFlexibility.NotNamed.selector, escrow));
        this.deployAgain();
    }

    function deployAgain() external {
        deploy("Flexibility", abi.encode(registry, ledger, rules, escrow, claims, settlement));
    }
}
