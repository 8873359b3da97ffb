// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { Adjustment, ILedger, OpenBatch, PrivateBatch } from "contracts/interfaces/ILedger.sol";
import { IAssessments, Totals } from "contracts/interfaces/IAssessments.sol";
import { IFactors } from "contracts/interfaces/IFactors.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { GatewayBoundary } from "contracts/types/Boundary.sol";
import { CarrierFactor, Resolution, StaticFactors } from "contracts/types/Factor.sol";
import { Kind } from "contracts/types/Kind.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Every function that changes state has a test of the wrong caller, of a repetition, of the ends of its ranges and of the
/// greatest numbers. This is the list; what stands in no other file is tested here.
///
/// | function                      | caller | again | ends | extremes | where                                             |
/// |-------------------------------|--------|-------|------|----------|---------------------------------------------------|
/// | Registry.registerOrganisation |   x    |   x   |  x   |    -     | RegistryOrganisations                             |
/// | Registry.enrol, dismiss       |   x    |   x   |  -   |    -     | RegistryOrganisations, here                       |
/// | Registry.registerScheme       |   x    |   x   |  x   |    x     | RegistryOrganisations, here                       |
/// | Registry.registerDistrict     |   x    |   x   |  x   |    x     | RegistryOrganisations, here                       |
/// | Registry.registerGateway      |   x    |   x   |  x   |    -     | RegistryOrganisations, here                       |
/// | Registry.rotateKey, revokeKey |   x    |   x   |  x   |    x     | RegistryOrganisations, here                       |
/// | Registry.publishBoundary      |   x    |   x   |  x   |    x     | RegistryBoundary, here                            |
/// | Registry.exchangeMeter        |   x    |   x   |  x   |    -     | RegistryBoundary, here                            |
/// | Factors.createVintage         |   x    |   x   |  x   |    x     | Factors, here                                     |
/// | Factors.publishDay            |   x    |   x   |  x   |    x     | Factors, here                                     |
/// | Ledger.recordOpen, correctOpen|   x    |   x   |  x   |    x     | LedgerOpen, here                                  |
/// | Ledger.recordPrivate, correct-|   x    |   x   |  x   |    x     | LedgerPrivate, here                               |
/// | Ledger.recordMany             |  any   |   x   |  x   |    -     | LedgerOpen, here                                  |
/// | Ledger.adjust                 |   x    |   x   |  x   |    x     | LedgerAfterwards, here                            |
/// | Ledger.scanCompromise         |  any   |   x   |  x   |    x     | LedgerAfterwards, here                            |
/// | Assessments.openAssessment    |   x    |   x   |  x   |    x     | Assessments, here                                 |
/// | Assessments.finalise          |  any   |   x   |  x   |    x     | Assessments, here                                 |
/// | Assessments.bookAdjustments   |  any   |   x   |  x   |    x     | Assessments, here                                 |
/// | Certificates, all nine        |   x    |   x   |  x   |    x     | Certificates                                      |
/// | Flexibility.openEvent         |   x    |   x   |  x   |    x     | Flexibility, FlexibilityPay                       |
/// | Flexibility.withdrawEvent     |   x    |   x   |  x   |    -     | Flexibility                                       |
/// | Flexibility.enrol             |   x    |   x   |  x   |    x     | Flexibility, FlexibilityPay                       |
/// | Flexibility.measure, pay      |  any   |   x   |  x   |    x     | Flexibility, FlexibilityAttacks, FlexibilityPay   |
/// | Flexibility.returnBudget      |  any   |   x   |  x   |    -     | Flexibility                                       |
contract StateChangesTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        publish(
            DAY,
            changes(
                change(PLANT, points(point("GRID", Kind.GRID, 1_000), point("LOAD", Kind.LOAD, 1_000))),
                GatewayBoundary(POOL, points(point("GRID-2", Kind.GRID, 1_000)), members("home", Kind.LOAD, 1_000, 6))
            )
        );
    }

    // --- Registry ----------------------------------------------------------------------------------------------------

    function test_a_role_given_or_taken_twice_is_the_same_as_once() public {
        bytes32 role = registry.METER_OPERATOR();
        vm.startPrank(administrator);
        registry.enrol(operator, "metering", role);
        registry.dismiss(operator, role);
        assertFalse(registry.hasRole(role, operator));
        registry.dismiss(operator, role);
        // Who is no administrator can be dismissed as one as often as one likes: the last one is still counted.
        registry.dismiss(stranger, 0);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.LastAdministrator.selector, administrator));
        registry.dismiss(administrator, 0);
        vm.stopPrank();
    }

    function test_greatest_values_of_a_scheme_and_a_district() public {
        uint16 most = type(uint16).max;
        Scheme memory greatest = Scheme({
            nonRenewable: false,
            isStatic: true,
            fMin: most,
            fMax: most,
            gMin: 0,
            gMax: most,
            toleranceBp: 10_000,
            toleranceWh: type(uint32).max,
            minimumMembers: 255,
            quorum: 255,
            challengeDays: most,
            decisionDays: most,
            validityDays: most
        });
        vm.startPrank(administrator);
        registry.registerScheme("greatest", greatest);
        registry.registerDistrict("greatest", "greatest", "harbour-owners", "metering", 255);
        vm.stopPrank();
        assertEq(keccak256(abi.encode(registry.scheme("greatest"))), keccak256(abi.encode(greatest)));
        assertEq(registry.district("greatest").minimumMembers, 255);
    }

    function test_unknown_districts_and_gateways_are_named() public {
        bytes memory district = abi.encodeWithSelector(IRegistry.UnknownDistrict.selector, bytes32("none"));
        bytes memory gateway = abi.encodeWithSelector(IRegistry.UnknownGateway.selector, bytes32("none"));
        vm.startPrank(operator);
        vm.expectRevert(district);
        registry.registerGateway("third", "none", stranger);
        vm.expectRevert(district);
        registry.publishBoundary("none", DAY + 1, changes(change(PLANT, points())));
        vm.expectRevert(district);
        registry.exchangeMeter("none", "GRID", "GRID.B");
        vm.expectRevert(gateway);
        registry.rotateKey("none", stranger);
        vm.expectRevert(gateway);
        registry.revokeKey("none", 0);
        vm.stopPrank();
    }

    /// Neither the administrator nor a dismissed operator handles keys, boundaries and meters.
    function test_who_is_no_meter_operator_changes_nothing_in_a_district() public {
        _refuseAsOperator(administrator);
        _refuseAsOperator(owner);
        bytes32 role = registry.METER_OPERATOR();
        vm.prank(administrator);
        registry.dismiss(operator, role);
        _refuseAsOperator(operator);
        assertEq(registry.keysMissing(HARBOUR), 0);
        assertEq(registry.boundaryVersions(HARBOUR), 1);
    }

    function _refuseAsOperator(address account) private {
        bytes memory refused = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, account, registry.METER_OPERATOR()
        );
        vm.startPrank(account);
        vm.expectRevert(refused);
        registry.registerGateway("third", HARBOUR, stranger);
        vm.expectRevert(refused);
        registry.rotateKey(PLANT, stranger);
        vm.expectRevert(refused);
        registry.revokeKey(PLANT, 0);
        vm.expectRevert(refused);
        registry.publishBoundary(HARBOUR, DAY + 1, changes(change(PLANT, points())));
        vm.expectRevert(refused);
        registry.exchangeMeter(HARBOUR, "GRID", "GRID.B");
        vm.stopPrank();
    }

    function test_a_compromise_at_the_end_of_time_is_refused() public {
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.CompromiseOutOfRange.selector, type(uint64).max, START, START));
        registry.revokeKey(PLANT, type(uint64).max);
        assertEq(registry.keysMissing(HARBOUR), 0, "nothing half applied");
    }

    // --- Factors -----------------------------------------------------------------------------------------------------

    function test_greatest_factors() public {
        uint16 most = type(uint16).max;
        CarrierFactor[] memory carriers = new CarrierFactor[](8);
        for (uint8 c = 0; c < 8; ++c) {
            carriers[c] = CarrierFactor(c + 1, most, most, most, most, most, most);
        }
        bytes memory content = new bytes(288);
        for (uint256 i = 0; i < 288; ++i) {
            content[i] = 0xff;
        }
        vm.startPrank(publisher);
        factors.createVintage(
            "greatest", 0, most, most, most, StaticFactors(most, most, most, most, most, most), carriers
        );
        factors.publishDay("greatest", ZONE, uint32(TODAY - 1), content);
        vm.stopPrank();
        (Resolution resolution,) = factors.resolve("greatest", ZONE, TODAY - 1);
        assertEq(uint256(resolution), uint256(Resolution.Published));
        assertEq(uint256(factors.carrierFactors("greatest")[7].exportGhg), most);
        assertEq(factors.deadline("greatest", type(uint32).max), (uint256(type(uint32).max) + 31) * 1 days);
    }

    function test_a_vintage_whose_greatest_factor_is_zero_is_refused() public {
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IFactors.FactorRange.selector, 0, 0));
        factors.createVintage("free", 0, 0, 0, 0, StaticFactors(0, 0, 0, 0, 0, 0), new CarrierFactor[](0));
    }

    // --- Ledger ------------------------------------------------------------------------------------------------------

    function _plant(uint8 hourOfDay, uint256 importWh) private pure returns (bytes memory) {
        return abi.encodePacked(hourOfDay, measured(importWh, 0), measured(0, importWh));
    }

    function _home(uint8 hourOfDay, uint256 drawWh) private pure returns (bytes memory) {
        return privateSection(hourOfDay, 1, privateSum(Kind.LOAD, 6, 0, drawWh));
    }

    function _refusePrivate(uint256 key, PrivateBatch memory b, bytes memory old, bytes memory reason) private {
        bytes memory signature = sign(key, b);
        vm.expectRevert(reason);
        if (b.replaces == 0) ledger.recordPrivate(b, signature);
        else ledger.correctPrivate(b, signature, old);
    }

    function test_private_hours_come_closed_once_and_in_order() public {
        warpTo(_closeOf(DAY, 7) - 121);
        PrivateBatch memory b = PrivateBatch(POOL, DAY, 1, 0, 0, _home(7, 600));
        uint32 hour = DAY * 24 + 7;
        _refusePrivate(POOL_KEY, b, "", abi.encodeWithSelector(ILedger.HourNotClosed.selector, hour, time));
        warpTo(_closeOf(DAY, 7) - 120);
        record(POOL_KEY, b);
        warpTo(_closeOf(DAY, 23));
        b = PrivateBatch(POOL, DAY, 2, 0, 0, abi.encodePacked(_home(6, 600), _home(7, 600)));
        _refusePrivate(POOL_KEY, b, "", abi.encodeWithSelector(ILedger.HourAlreadyRecorded.selector, hour, 1));
        b.payload = abi.encodePacked(_home(9, 600), _home(8, 600));
        _refusePrivate(POOL_KEY, b, "", abi.encodeWithSelector(ILedger.HoursNotAscending.selector, 8, 9));
        b.payload = _home(24, 600);
        _refusePrivate(POOL_KEY, b, "", abi.encodeWithSelector(ILedger.HourOutOfRange.selector, 24));
        assertEq(hourWord(DAY, 6) | hourWord(DAY, 8) | hourWord(DAY, 9), 0, "nothing half applied");
    }

    function test_a_private_correction_has_one_signer_one_time_and_one_predecessor() public {
        warpTo(_closeOf(DAY, 23));
        bytes memory old = abi.encodePacked(_home(0, 600), _home(1, 600));
        record(POOL_KEY, PrivateBatch(POOL, DAY, 1, 0, 0, old));
        PrivateBatch memory b = PrivateBatch(POOL, DAY, 2, 1, 6, _home(1, 700));
        bytes memory wrong = abi.encodeWithSelector(ILedger.WrongSigner.selector, vm.addr(PLANT_KEY), vm.addr(POOL_KEY));
        _refusePrivate(PLANT_KEY, b, old, wrong);
        bytes memory other = _home(0, 600);
        bytes memory mismatch =
            abi.encodeWithSelector(ILedger.OldPayloadMismatch.selector, keccak256(old), keccak256(other));
        _refusePrivate(POOL_KEY, b, other, mismatch);
        bytes memory signature = sign(POOL_KEY, b);
        ledger.correctPrivate(b, signature, old);
        assertEq(lane(hourWord(DAY, 1), 3), 700);
        assertEq(count(hourWord(DAY, 1), 208), 6);

        _refusePrivate(POOL_KEY, b, old, abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 2, 3));
        b.sequence = 3;
        uint32 hour = DAY * 24 + 1;
        _refusePrivate(POOL_KEY, b, old, abi.encodeWithSelector(ILedger.HourNotHeld.selector, hour, 2, 1));
        b.sequence = 201;
        _refusePrivate(POOL_KEY, b, old, abi.encodeWithSelector(ILedger.SequenceReserved.selector, POOL, DAY, 201, 200));
        b.sequence = 3;
        b.replaces = 2;
        vm.prank(operator);
        registry.revokeKey(POOL, 0);
        _refusePrivate(POOL_KEY, b, _home(1, 700), abi.encodeWithSelector(ILedger.KeyRevoked.selector, POOL));
        warpTo(_finalityOf(DAY));
        bytes memory late = abi.encodeWithSelector(ILedger.DayIsFinal.selector, DAY, _finalityOf(DAY));
        _refusePrivate(POOL_KEY, b, _home(1, 700), late);
        assertEq(lane(hourWord(DAY, 1), 3), 700);
    }

    /// A relay that sends the same calls again changes nothing, whoever it is.
    function test_many_calls_again_are_all_skipped() public {
        warpTo(_closeOf(DAY, 23));
        OpenBatch memory open = batch(PLANT, DAY, 1, 0, _plant(0, 100));
        PrivateBatch memory closed = PrivateBatch(POOL, DAY, 1, 0, 0, _home(0, 600));
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(ledger.recordOpen, (open, sign(PLANT_KEY, open)));
        calls[1] = abi.encodeCall(ledger.recordPrivate, (closed, sign(POOL_KEY, closed)));
        ledger.recordMany(calls);
        uint256 word = hourWord(DAY, 0);
        assertEq(lane(word, 3), 700);
        bytes memory again = abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 1, 2);
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectEmit(address(ledger));
            emit ILedger.BatchSkipped(i, again);
        }
        vm.prank(stranger);
        ledger.recordMany(calls);
        assertEq(hourWord(DAY, 0), word);
        ledger.recordMany(new bytes[](0));
    }

    function test_days_at_the_ends_of_their_range() public {
        OpenBatch memory b = batch(PLANT, type(uint32).max, 1, 0, _plant(23, 1));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectPartialRevert(ILedger.HourNotClosed.selector);
        ledger.recordOpen(b, signature);
        b = batch(PLANT, 0, 1, 0, _plant(0, 1));
        signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NoPoints.selector, PLANT, 0));
        ledger.recordOpen(b, signature);
        Adjustment memory a = Adjustment(PLANT, type(uint32).max, 1, 0, false, 0, 0, _plant(0, 1));
        vm.expectRevert(
            abi.encodeWithSelector(
                ILedger.DayNotFinal.selector, type(uint32).max, (uint256(type(uint32).max) + 1) * 1 days + FINALITY
            )
        );
        ledger.adjust(a, "", "", "");
        a.day = 0;
        vm.expectRevert(abi.encodeWithSelector(ILedger.NoPoints.selector, PLANT, 0));
        ledger.adjust(a, "", "", "");
    }

    /// The signatures of an adjustment stand for one stream, one predecessor and one time.
    function test_an_adjustment_is_not_replayed() public {
        warpTo(_finalityOf(DAY));
        Adjustment memory a = Adjustment(POOL, DAY, 1, 0, true, 0, 0, _home(0, 600));
        bytes memory byOperator = sign(OPERATOR_KEY, a);
        bytes memory byAuditor = sign(AUDITOR_KEY, a);
        a.isPrivate = false;
        vm.expectPartialRevert(ILedger.NotMeterOperator.selector);
        ledger.adjust(a, "", byOperator, byAuditor);
        a.isPrivate = true;
        vm.prank(stranger);
        ledger.adjust(a, "", byOperator, byAuditor);
        vm.expectRevert(abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 1, 2));
        ledger.adjust(a, "", byOperator, byAuditor);
        assertEq(lane(hourWord(DAY, 0), 3), 600);
        assertEq(ledger.adjustmentCount(HARBOUR), 1);

        a = Adjustment(POOL, DAY, 2, 1, true, 0, 4, _home(0, 500));
        byOperator = sign(OPERATOR_KEY, a);
        byAuditor = sign(AUDITOR_KEY, a);
        vm.expectRevert(abi.encodeWithSelector(ILedger.TooFewChangedMembers.selector, 4, 5));
        ledger.adjust(a, _home(0, 600), byOperator, byAuditor);
        a.changedMembers = 5;
        byOperator = sign(OPERATOR_KEY, a);
        byAuditor = sign(AUDITOR_KEY, a);
        bytes memory other = _home(0, 601);
        vm.expectRevert(
            abi.encodeWithSelector(ILedger.OldPayloadMismatch.selector, keccak256(_home(0, 600)), keccak256(other))
        );
        ledger.adjust(a, other, byOperator, byAuditor);
        ledger.adjust(a, _home(0, 600), byOperator, byAuditor);
        assertEq(lane(hourWord(DAY, 0), 3), 500);
        assertEq(ledger.adjustmentCount(HARBOUR), 2);
    }

    function test_a_scan_of_all_days_at_once_by_anyone() public {
        assertTrue(ledger.scanCompromise("none", type(uint256).max));
        assertEq(ledger.compromisesScanned("none"), 0);
        warpTo(_closeOf(DAY, 23));
        record(PLANT_KEY, batch(PLANT, DAY, 1, 0, _plant(0, 100)));
        vm.prank(operator);
        registry.revokeKey(PLANT, uint64(time));
        vm.prank(stranger);
        assertTrue(ledger.scanCompromise(HARBOUR, type(uint256).max));
        assertEq(count(extraWord(DAY, 0), 16), 1);
        assertEq(ledger.compromisesScanned(HARBOUR), 1);
    }

    // --- Assessments -------------------------------------------------------------------------------------------------

    function test_an_assessment_is_of_known_things_from_a_known_day() public {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownDistrict.selector, bytes32("none")));
        assessments.openAssessment("none", SCHEME, VINTAGE, DAY);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownScheme.selector, bytes32("none")));
        assessments.openAssessment(HARBOUR, "none", VINTAGE, DAY);
        vm.expectRevert(abi.encodeWithSelector(IFactors.UnknownVintage.selector, bytes32("none")));
        assessments.openAssessment(HARBOUR, SCHEME, "none", DAY);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.NoBoundary.selector, HARBOUR, DAY - 1));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.StartDayTooLate.selector, type(uint32).max, TODAY + 366));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, type(uint32).max);
        vm.stopPrank();
        bytes32 role = registry.DISTRICT_OWNER();
        vm.prank(administrator);
        registry.dismiss(owner, role);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IAssessments.NotAllowedToOpen.selector, owner, HARBOUR));
        assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
    }

    /// Anyone, any number: a call does what can be done now, and the next one nothing. An adjustment counts once, whether it came
    /// before its day was finalised, after it, or for a day before the first.
    function test_finalising_and_booking_by_anyone_in_any_number() public {
        vm.prank(operator);
        bytes32 id = assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY + 1);
        uint256 most = type(uint256).max;
        for (uint32 day = DAY; day < DAY + 3; ++day) {
            warpTo(_closeOf(day, 23));
            publishFactors(day, dayFactors(1_900, 2_300));
        }
        vm.startPrank(stranger);
        assertEq(assessments.finalise(id, most), 0);
        assertEq(assessments.bookAdjustments(id, most), 0);
        warpTo(_finalityOf(DAY + 1));
        for (uint32 day = DAY; day < DAY + 2; ++day) {
            adjust(Adjustment(PLANT, day, 1, 0, false, 0, 0, _plant(0, 100)), "");
        }
        assertEq(assessments.finalise(id, most), 1);
        (Totals memory before,) = assessments.cumulative(id, DAY + 2);
        assertEq(before.balance, -100 * 1_900, "the adjustment is in it");
        assertEq(assessments.bookAdjustments(id, most), 2);
        adjust(Adjustment(PLANT, DAY + 1, 2, 0, false, 0, 0, _plant(1, 10)), "");
        assertEq(assessments.bookAdjustments(id, most), 1);
        warpTo(_finalityOf(DAY + 2));
        assertEq(assessments.finalise(id, most), 1);
        assertEq(assessments.finalise(id, most), 0);
        assertEq(assessments.bookAdjustments(id, most), 0);
        vm.stopPrank();
        (Totals memory after_, Totals memory adjusted) = assessments.cumulative(id, DAY + 2);
        assertEq(after_.balance, before.balance);
        assertEq(adjusted.balance, -10 * 1_900);
    }
}
