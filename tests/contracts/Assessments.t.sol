// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Adjustment } from "contracts/interfaces/ILedger.sol";
import { IAssessments, Totals } from "contracts/interfaces/IAssessments.sol";
import { Kind } from "contracts/types/Kind.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { Assessment, Finding, Verdict } from "contracts/types/Verdict.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Opening, finalising, adjusting and judging, over the real Registry, Factors and Ledger.
/// Each call is a transaction of its own, so that the gas figures are those of cold storage.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract AssessmentsTest is LedgerFixture {
    bytes32 private id;

    function setUp() public override {
        super.setUp();
        publish(
            DAY,
            changes(
                change(
                    PLANT,
                    points(
                        point("GRID", Kind.GRID, 100_000),
                        point("PV", Kind.GENERATION, 100_000),
                        point("LOAD", Kind.LOAD, 100_000)
                    )
                ),
                change(POOL, points(point("GRID-2", Kind.GRID, 10_000)))
            )
        );
        vm.prank(owner);
        id = assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
    }

    /// @dev Exports 1,000 Wh in each of the hours [0, hoursKnown); POOL sends no batch.
    function _plantDay(uint32 day, uint8 hoursKnown) private {
        bytes memory payload;
        for (uint8 h = 0; h < hoursKnown; ++h) {
            payload = abi.encodePacked(payload, h, measured(0, 1_000), measured(3_000, 0), measured(0, 2_000));
        }
        record(PLANT_KEY, batch(PLANT, day, 1, 0, payload));
    }

    function _poolDay(uint32 day, uint8 status) private {
        bytes memory payload;
        for (uint8 h = 0; h < 24; ++h) {
            payload = abi.encodePacked(payload, h, rec(status, 0, 0));
        }
        record(POOL_KEY, batch(POOL, day, 1, 0, payload));
    }

    function _completeDay(uint32 day) private {
        vm.warp(_closeOf(day, 23));
        _plantDay(day, 24);
        _poolDay(day, MEASURED);
        publishFactors(day, dayFactors(1_900, 2_300));
    }

    function _of(uint32 day) private view returns (Totals memory t) {
        (t,) = assessments.cumulative(id, day + 1);
        (Totals memory earlier,) = assessments.cumulative(id, day);
        t.balance -= earlier.balance;
        t.lower -= earlier.lower;
        t.upper -= earlier.upper;
        t.completeHours -= earlier.completeHours;
    }

    // --- opening -----------------------------------------------------------------------------------------------------

    function test_who_may_open() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.NotAllowedToOpen.selector, stranger, HARBOUR));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
        vm.prank(hillOperator);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.NotAllowedToOpen.selector, hillOperator, HARBOUR));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.AssessmentExists.selector, id));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY + 5);
        Assessment memory a = assessments.assessment(id);
        assertEq(a.districtId == HARBOUR && a.schemeId == SCHEME && a.vintageId == VINTAGE, true);
        assertEq(uint256(a.frontier), DAY);
    }

    function test_refuses_factors_and_members_outside_the_scheme() public {
        vm.startPrank(administrator);
        Scheme memory narrow = scheme();
        narrow.fMax = 2_999;
        registry.registerScheme("narrow", narrow);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.FactorsOutsideScheme.selector, VINTAGE, bytes32("narrow")));
        assessments.openAssessment(HARBOUR, "narrow", VINTAGE, DAY);
        Scheme memory shy = scheme();
        shy.minimumMembers = 6;
        registry.registerScheme("shy", shy);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.MinimumMembersBelowScheme.selector, 5, 6));
        assessments.openAssessment(HARBOUR, "shy", VINTAGE, DAY);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.NoBoundary.selector, HILL, DAY));
        assessments.openAssessment(HILL, SCHEME, VINTAGE, DAY);
        vm.stopPrank();
    }

    /// Who owns or operates the district must not publish its factors, nor those that a vintage falls back to.
    function test_refuses_factors_of_the_districts_own_organisations() public {
        bytes32 role = registry.FACTOR_PUBLISHER();
        vm.startPrank(administrator);
        registry.enrol(owner, "harbour-owners", role);
        registry.enrol(operator, "metering", role);
        vm.stopPrank();
        vm.prank(owner);
        factors.createVintage("of-the-owner", 0, 0, 3000, 1000, _staticFactors(), _carrierFactors());
        vm.prank(operator);
        factors.createVintage("of-the-operator", 0, 0, 3000, 1000, _staticFactors(), _carrierFactors());
        vm.prank(publisher);
        factors.createVintage("child", "of-the-owner", 0, 3000, 1000, _staticFactors(), _carrierFactors());
        vm.startPrank(owner);
        _refusePublisher("of-the-owner", "of-the-owner", "harbour-owners");
        _refusePublisher("of-the-operator", "of-the-operator", "metering");
        _refusePublisher("child", "of-the-owner", "harbour-owners");
        vm.stopPrank();
    }

    function _refusePublisher(bytes32 vintage, bytes32 culprit, bytes32 organisation) private {
        vm.expectRevert(abi.encodeWithSelector(IAssessments.PublisherNotIndependent.selector, culprit, organisation));
        assessments.openAssessment(HARBOUR, SCHEME, vintage, DAY);
    }

    function test_starts_at_most_366_days_ahead() public {
        vm.prank(publisher);
        factors.createVintage("other", 0, 0, 3000, 1000, _staticFactors(), _carrierFactors());
        vm.startPrank(owner);
        uint32 latest = uint32(TODAY) + 366;
        vm.expectRevert(abi.encodeWithSelector(IAssessments.StartDayTooLate.selector, latest + 1, uint256(latest)));
        assessments.openAssessment(HARBOUR, SCHEME, "other", latest + 1);
        assertEq(
            uint256(assessments.assessment(assessments.openAssessment(HARBOUR, SCHEME, "other", latest)).startDay),
            latest
        );
        vm.stopPrank();
    }

    // --- days --------------------------------------------------------------------------------------------------------

    function test_a_complete_day() public {
        _completeDay(DAY);
        vm.warp(_finalityOf(DAY) - 1);
        assertEq(assessments.finalise(id, 10), 0, "a second early");
        vm.warp(_finalityOf(DAY));
        assertEq(assessments.finalise(id, 10), 1);
        Totals memory t = _of(DAY);
        assertEq(t.balance, 24 * 1_000 * 2_300);
        assertEq(t.lower, t.balance);
        assertEq(t.upper, t.balance);
        assertEq(t.completeHours, 24);
        (t,) = assessments.cumulative(id, DAY + 1);
        assertEq(t.ghg, -24 * 1_000 * 287);
        assertEq(assessments.finalise(id, 10), 0, "not twice");
    }

    function test_waits_for_factors_and_then_takes_the_least_favourable() public {
        vm.warp(_closeOf(DAY, 23));
        _plantDay(DAY, 24);
        _poolDay(DAY, MEASURED);
        vm.warp(_finalityOf(DAY));
        assertEq(assessments.finalise(id, 1), 0);
        vm.warp(factors.deadline(VINTAGE, DAY) + 1);
        assertEq(assessments.finalise(id, 1), 1);
        Totals memory t = _of(DAY);
        assertEq(t.completeHours, 0);
        assertEq(t.lower, 0, "export at f_min");
        assertEq(t.upper, 24 * 1_000 * 3_000, "export at f_max");
    }

    function test_an_absent_gateway_may_hide_all_that_it_could_hold() public {
        vm.warp(_closeOf(DAY, 23));
        _plantDay(DAY, 24);
        publishFactors(DAY, dayFactors(1_900, 2_300));
        vm.warp(_finalityOf(DAY));
        assessments.finalise(id, 1);
        Totals memory t = _of(DAY);
        assertEq(t.completeHours, 0);
        assertEq(t.lower, -24 * 11_000 * 3_000);
        assertEq(t.upper, 24 * (1_000 + 11_000) * 3_000);
    }

    function test_days_go_in_order_and_add_up() public {
        for (uint32 d = 0; d < 4; ++d) {
            _completeDay(DAY + d);
        }
        vm.warp(_finalityOf(DAY + 3));
        assertEq(assessments.finalise(id, 0), 0);
        assertEq(assessments.finalise(id, 3), 3);
        assertEq(assessments.finalise(id, 3), 1);
        (Totals memory t,) = assessments.cumulative(id, DAY + 4);
        assertEq(t.balance, 4 * 24 * 1_000 * 2_300);
        assertEq(t.completeHours, 96);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.UnknownDay.selector, id, DAY + 5));
        assessments.cumulative(id, DAY + 5);
    }

    // --- adjustments -------------------------------------------------------------------------------------------------

    function test_an_adjustment_belongs_to_its_own_day() public {
        _completeDay(DAY);
        vm.warp(_finalityOf(DAY));
        assessments.finalise(id, 1);
        bytes memory changed = abi.encodePacked(uint8(0), measured(0, 400), measured(2_400, 0), measured(0, 2_000));
        bytes memory old;
        for (uint8 h = 0; h < 24; ++h) {
            old = abi.encodePacked(old, h, measured(0, 1_000), measured(3_000, 0), measured(0, 2_000));
        }
        adjust(Adjustment(PLANT, DAY, 2, 1, false, 0, 0, changed), old);
        assertEq(assessments.bookAdjustments(id, 0), 0);
        assertEq(assessments.bookAdjustments(id, 9), 1);
        (Totals memory finalised, Totals memory adjusted) = assessments.cumulative(id, DAY + 1);
        assertEq(finalised.balance, 24 * 1_000 * 2_300, "what was finalised stays");
        assertEq(adjusted.balance, -600 * 2_300);
        assertEq(adjusted.lower, -600 * 2_300);
        assertEq(adjusted.completeHours, 0);
        assertEq(assessments.bookAdjustments(id, 9), 0);
        // And once more, back: the differences cancel.
        bytes memory again = abi.encodePacked(uint8(0), measured(0, 1_000), measured(3_000, 0), measured(0, 2_000));
        adjust(Adjustment(PLANT, DAY, 3, 2, false, 0, 0, again), changed);
        assessments.bookAdjustments(id, 9);
        (, adjusted) = assessments.cumulative(id, DAY + 1);
        assertEq(adjusted.balance, 0);
    }

    function test_a_compromise_of_a_final_day_is_booked() public {
        vm.warp(_closeOf(DAY, 23));
        uint64 since = uint64(_closeOf(DAY, 23));
        _completeDay(DAY);
        vm.warp(_finalityOf(DAY));
        assessments.finalise(id, 1);
        vm.prank(operator);
        registry.revokeKey(PLANT, since);
        ledger.scanCompromise(HARBOUR, 100);
        assessments.bookAdjustments(id, 9);
        (, Totals memory adjusted) = assessments.cumulative(id, DAY + 1);
        assertEq(adjusted.completeHours, -24);
        assertEq(adjusted.lower, -24 * (121_000 * 3_000 + 1_000 * 2_300));
    }

    // --- attributes that move with trades ----------------------------------------------------------------------------

    function _move(uint32 hour, int64 energyWh) private {
        vm.prank(_account("settlement"));
        claims.moveAttributes(HARBOUR, HILL, hour, energyWh);
    }

    function test_a_day_waits_until_its_trades_with_attributes_are_settled() public {
        uint32 hour = DAY * 24 + 5;
        vm.prank(_account("market"));
        claims.openAttributes(HARBOUR, hour, 700);
        _completeDay(DAY);
        _completeDay(DAY + 1);
        vm.warp(_finalityOf(DAY + 1));
        assertEq(assessments.finalise(id, 10), 0, "open");
        _move(hour, 600);
        vm.prank(_account("settlement"));
        claims.closeAttributes(HARBOUR, hour, 700);
        assertEq(assessments.finalise(id, 10), 2);
        Totals memory t = _of(DAY);
        assertEq(t.balance, (24 * 1_000 - 600) * 2_300);
        assertEq(t.lower, t.balance);
        assertEq(t.completeHours, 24);
        assertEq(_of(DAY + 1).balance, 24 * 1_000 * 2_300);
        assertEq(assessments.bookAdjustments(id, 9), 0, "known in time");
    }

    /// Follow-ups of a finalised day are booked as adjustments are: to their day, and until then the verdict waits.
    function test_a_follow_up_is_booked_to_its_day() public {
        uint32 hour = DAY * 24 + 5;
        _completeDay(DAY);
        vm.warp(_finalityOf(DAY));
        assessments.finalise(id, 1);
        _move(hour, 300);
        _move(hour + 1, 1_200);
        adjust(
            Adjustment(POOL, DAY, 2, 1, false, 0, 0, abi.encodePacked(uint8(5), measured(0, 50))), _poolHours(MEASURED)
        );
        assertEq(assessments.bookAdjustments(id, 2), 2);
        assertEq(assessments.adjustmentsBooked(id), 1, "the ledger's list first");
        assertEq(assessments.attributeChangesBooked(id), 1);
        assertEq(assessments.bookAdjustments(id, 9), 1);
        (, Totals memory adjusted) = assessments.cumulative(id, DAY + 1);
        assertEq(adjusted.balance, int256(50 - 300 - 1_000) * 2_300, "no more than the export of the hour");
        assertEq(adjusted.lower, adjusted.balance);
        _move(hour, -300);
        _move(hour + 1, -1_200);
        assessments.bookAdjustments(id, 9);
        (, adjusted) = assessments.cumulative(id, DAY + 1);
        assertEq(adjusted.balance, 50 * 2_300);
    }

    // --- verdicts ----------------------------------------------------------------------------------------------------

    function testFuzz_any_window_has_a_finding(uint32 windowEnd) public view {
        windowEnd %= 2 * DAY;
        Finding expected = windowEnd > DAY ? Finding.NotFinal : Finding.WindowTooShort;
        assertEq(uint256(assessments.verdict(id, windowEnd).finding), uint256(expected));
        assertEq(uint256(assessments.verdict(id, windowEnd % 400).finding), uint256(Finding.WindowTooShort));
    }

    function test_findings_before_a_year_is_there() public {
        assertEq(uint256(assessments.verdict(id, 0).finding), uint256(Finding.WindowTooShort));
        assertEq(uint256(assessments.verdict(id, type(uint32).max).finding), uint256(Finding.NotFinal));
        Verdict memory v = assessments.verdict(id, DAY + 1);
        assertEq(uint256(v.finding), uint256(Finding.NotFinal));
        assertEq(uint256(assessments.latestVerdict(id).finding), uint256(Finding.WindowTooShort));
        bytes32 unknown = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IAssessments.UnknownAssessment.selector, unknown));
        assessments.verdict(unknown, DAY);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.UnknownAssessment.selector, unknown));
        assessments.finalise(unknown, 1);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.UnknownAssessment.selector, unknown));
        assessments.bookAdjustments(unknown, 1);
    }

    /// A whole year over the real contracts, then each finding in turn.
    function test_a_year() public {
        uint32 end = DAY + 366;
        for (uint32 day = DAY; day < end; ++day) {
            vm.warp(_closeOf(day, 23));
            _plantDay(day, 24);
            _poolDay(day, day == end - 1 ? ESTIMATED : MEASURED);
            publishFactors(day, dayFactors(1_900, 2_300));
        }
        vm.warp(_finalityOf(end - 1));
        assertEq(assessments.finalise(id, 400), 366);

        Verdict memory v = assessments.verdict(id, end);
        assertEq(uint256(v.finding), uint256(Finding.EdgeEstimated));
        v = assessments.latestVerdict(id);
        vm.snapshotGasLastCall("Assessments", "latest_verdict_at_an_estimated_edge");
        assertEq(uint256(v.finding), uint256(Finding.Positive), "one day earlier");
        assertEq(uint256(v.windowEnd), end - 1);
        assertEq(uint256(v.windowStart), end - 1 - 365);
        assertEq(v.balance, 365 * 24 * 1_000 * 2_300);
        assertEq(uint256(v.completeHours), 365 * 24);
        assertEq(uint256(v.worstBlockHours), 720);
        assertEq(uint256(v.firstVersion), 1);
        assessments.verdict(id, end - 1);
        vm.snapshotGasLastCall("Assessments", "verdict");

        // An adjustment is pending until it is booked.
        adjust(Adjustment(POOL, end - 1, 2, 1, false, 0, 0, _poolHours(MEASURED)), _poolHours(ESTIMATED));
        assertEq(uint256(assessments.verdict(id, end - 1).finding), uint256(Finding.AdjustmentsPending));
        assessments.bookAdjustments(id, 9);
        vm.snapshotGasLastCall("Assessments", "book_adjustment");
        v = assessments.latestVerdict(id);
        assertEq(uint256(v.windowEnd), end, "no estimate at the edge any more");
        assertEq(uint256(v.finding), uint256(Finding.Positive));
        assertEq(uint256(v.completeHours), 365 * 24);

        // So is what moved with a trade's follow-up.
        _move((end - 40) * 24, 400);
        assertEq(uint256(assessments.latestVerdict(id).finding), uint256(Finding.AdjustmentsPending));
        assessments.bookAdjustments(id, 9);
        v = assessments.latestVerdict(id);
        assertEq(uint256(v.finding), uint256(Finding.Positive));
        assertEq(v.balance, (365 * 24 * 1_000 - 400) * 2_300);

        // A compromise is pending until it is scanned and booked; then the hours lack.
        uint64 since = uint64(_closeOf(end - 60, 23));
        vm.startPrank(operator);
        registry.revokeKey(PLANT, since);
        vm.stopPrank();
        assertEq(uint256(assessments.latestVerdict(id).finding), uint256(Finding.CompromisePending));
        while (!ledger.scanCompromise(HARBOUR, 30)) { }
        assertEq(uint256(assessments.latestVerdict(id).finding), uint256(Finding.AdjustmentsPending));
        assessments.bookAdjustments(id, 100);
        v = assessments.latestVerdict(id);
        assertEq(uint256(v.finding), uint256(Finding.Incomplete));
        assertEq(uint256(v.worstBlockHours), 0);
        assertEq(uint256(v.completeHours), (365 - 60) * 24);
    }

    function _poolHours(uint8 status) private pure returns (bytes memory payload) {
        for (uint8 h = 0; h < 24; ++h) {
            payload = abi.encodePacked(payload, h, rec(status, 0, 0));
        }
    }
}
