// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Adjustment, ILedger, OpenBatch } from "contracts/interfaces/ILedger.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice What can still happen to hours that were accepted: adjustments of final days, and keys found compromised.
contract LedgerAfterwardsTest is LedgerFixture {
    function setUp() public override {
        super.setUp();
        publish(
            DAY,
            changes(
                change(PLANT, points(point("GRID", Kind.GRID, 1_000), point("LOAD", Kind.LOAD, 1_000))),
                change(POOL, points(point("GRID-2", Kind.GRID, 1_000)))
            )
        );
    }

    function _section(uint8 hourOfDay, uint256 importWh) private pure returns (bytes memory) {
        return abi.encodePacked(hourOfDay, measured(importWh, 0), measured(0, importWh));
    }

    function _recordHours(uint32 day, uint8 sequence, uint8 first, uint8 last) private {
        bytes memory payload;
        for (uint8 h = first; h <= last; ++h) {
            payload = abi.encodePacked(payload, _section(h, 100));
        }
        record(PLANT_KEY, batch(PLANT, day, sequence, 0, payload));
    }

    function _adjustment(uint8 sequence, uint8 replaces, bytes memory payload)
        private
        pure
        returns (Adjustment memory)
    {
        return Adjustment(PLANT, DAY, sequence, replaces, false, keccak256("the meter was found again"), 0, payload);
    }

    // --- adjustments -------------------------------------------------------------------------------------------------

    function test_adjusts_a_final_day() public {
        vm.warp(_closeOf(DAY, 0));
        _recordHours(DAY, 1, 0, 0);
        vm.warp(_finalityOf(DAY));
        adjust(_adjustment(2, 1, _section(0, 250)), _section(0, 100));
        assertEq(lane(hourWord(DAY, 0), 0), 250);
        adjust(_adjustment(3, 0, _section(1, 40)), "");
        assertEq(lane(hourWord(DAY, 1), 0), 40);
        assertEq(ledger.adjustmentCount(HARBOUR), 2);
        assertEq(uint256(ledger.adjustmentDay(HARBOUR, 1)), DAY);
        uint256 stream = ledger.streamWord(PLANT, DAY, false);
        assertEq((stream >> 200) & 0xffffffff, _closeOf(DAY, 0), "the gateway's last signature stays");
    }

    function test_adjusts_to_the_second() public {
        Adjustment memory a = _adjustment(1, 0, _section(0, 1));
        vm.warp(_finalityOf(DAY) - 1);
        bytes memory operatorSignature = sign(OPERATOR_KEY, a);
        bytes memory auditorSignature = sign(AUDITOR_KEY, a);
        vm.expectRevert(abi.encodeWithSelector(ILedger.DayNotFinal.selector, DAY, _finalityOf(DAY)));
        ledger.adjust(a, "", operatorSignature, auditorSignature);
        vm.warp(_finalityOf(DAY));
        ledger.adjust(a, "", operatorSignature, auditorSignature);
        // Not twice.
        vm.expectRevert(abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 1, 2));
        ledger.adjust(a, "", operatorSignature, auditorSignature);
    }

    function test_refuses_wrong_roles() public {
        vm.warp(_finalityOf(DAY));
        Adjustment memory a = _adjustment(1, 0, _section(0, 1));
        bytes memory byOperator = sign(OPERATOR_KEY, a);
        bytes memory byAuditor = sign(AUDITOR_KEY, a);
        bytes memory byOwnAuditor = sign(OWN_AUDITOR_KEY, a);
        bytes memory byGateway = sign(PLANT_KEY, a);

        vm.expectRevert(
            abi.encodeWithSelector(
                ILedger.NotMeterOperator.selector, vm.addr(AUDITOR_KEY), bytes32("auditors"), bytes32("metering")
            )
        );
        ledger.adjust(a, "", byAuditor, byOperator);
        vm.expectRevert(
            abi.encodeWithSelector(ILedger.NotIndependentAuditor.selector, vm.addr(OPERATOR_KEY), bytes32("metering"))
        );
        ledger.adjust(a, "", byOperator, byOperator);
        vm.expectRevert(
            abi.encodeWithSelector(
                ILedger.NotIndependentAuditor.selector, vm.addr(OWN_AUDITOR_KEY), bytes32("metering")
            )
        );
        ledger.adjust(a, "", byOperator, byOwnAuditor);
        vm.expectRevert(
            abi.encodeWithSelector(
                ILedger.NotMeterOperator.selector, vm.addr(PLANT_KEY), bytes32(0), bytes32("metering")
            )
        );
        ledger.adjust(a, "", byGateway, byAuditor);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NotIndependentAuditor.selector, address(0), bytes32(0)));
        ledger.adjust(a, "", byOperator, "");
        // An auditor of that organisation who was dismissed; one who is only an operator elsewhere.
        bytes32 auditorRole = registry.AUDITOR();
        vm.prank(administrator);
        registry.dismiss(vm.addr(AUDITOR_KEY), auditorRole);
        vm.expectRevert(
            abi.encodeWithSelector(ILedger.NotIndependentAuditor.selector, vm.addr(AUDITOR_KEY), bytes32("auditors"))
        );
        ledger.adjust(a, "", byOperator, byAuditor);
    }

    function test_signatures_cover_the_whole_adjustment() public {
        vm.warp(_finalityOf(DAY));
        Adjustment memory a = _adjustment(1, 0, _section(0, 1));
        bytes memory byOperator = sign(OPERATOR_KEY, a);
        bytes memory byAuditor = sign(AUDITOR_KEY, a);
        a.reasonHash = keccak256("another reason");
        vm.expectPartialRevert(ILedger.NotMeterOperator.selector);
        ledger.adjust(a, "", byOperator, byAuditor);
    }

    function test_an_adjustment_needs_no_gateway_key() public {
        vm.prank(operator);
        registry.revokeKey(PLANT, 0);
        vm.warp(_finalityOf(DAY));
        adjust(_adjustment(1, 0, _section(0, 7)), "");
        assertEq(lane(hourWord(DAY, 0), 0), 7);
    }

    // --- compromised keys --------------------------------------------------------------------------------------------

    function _compromise(uint64 since) private {
        vm.startPrank(operator);
        registry.revokeKey(PLANT, since);
        registry.rotateKey(PLANT, vm.addr(0x777));
        vm.stopPrank();
    }

    function _tainted(uint32 day, uint256 hourOfDay) private view returns (uint256) {
        return count(extraWord(day, hourOfDay), 16);
    }

    function test_hours_since_the_compromise_are_tainted() public {
        vm.warp(_closeOf(DAY, 23));
        _recordHours(DAY, 1, 0, 3);
        vm.warp(_closeOf(DAY + 1, 3));
        uint64 since = uint64(_closeOf(DAY + 1, 3));
        _recordHours(DAY + 1, 1, 0, 3);
        record(POOL_KEY, batch(POOL, DAY + 1, 1, 0, abi.encodePacked(uint8(0), measured(5, 0))));
        _compromise(since);

        vm.expectEmit(address(ledger));
        emit ILedger.HoursTainted(PLANT, HARBOUR, DAY + 1, false, 0xf);
        assertTrue(ledger.scanCompromise(HARBOUR, 100));
        for (uint256 h = 0; h < 4; ++h) {
            assertEq(_tainted(DAY, h), 0, "accepted before");
            assertEq(_tainted(DAY + 1, h), 1, "accepted since");
            assertEq(count(hourWord(DAY + 1, h), 224), 1);
        }
        assertEq(_tainted(DAY + 1, 4), 0, "an empty hour");
        assertEq(ledger.compromisesScanned(HARBOUR), 1);
        assertEq(ledger.adjustmentCount(HARBOUR), 0, "no final day");
        // Again: nothing to do.
        assertTrue(ledger.scanCompromise(HARBOUR, 100));
        assertEq(_tainted(DAY + 1, 0), 1);
    }

    function test_signing_again_clears_only_the_hours_signed() public {
        vm.warp(_closeOf(DAY, 23));
        _recordHours(DAY, 1, 0, 1);
        bytes memory old = abi.encodePacked(_section(0, 100), _section(1, 100));
        _compromise(uint64(block.timestamp));

        OpenBatch memory b = batch(PLANT, DAY, 2, 1, _section(1, 90));
        bytes memory signature = sign(0x777, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.CompromiseUnscanned.selector, PLANT, 0, 1));
        ledger.correctOpen(b, signature, old);
        // Other gateways are not held up.
        record(POOL_KEY, batch(POOL, DAY, 1, 0, abi.encodePacked(uint8(0), measured(5, 0))));

        ledger.scanCompromise(HARBOUR, 100);
        ledger.correctOpen(b, signature, old);
        assertEq(_tainted(DAY, 0), 1);
        assertEq(_tainted(DAY, 1), 0);
        assertEq(count(hourWord(DAY, 1), 224), 0, "nothing extra is left");
        assertEq(lane(hourWord(DAY, 1), 0), 90);
        assertEq(ledger.streamWord(PLANT, DAY, false) >> 232, 1);
    }

    /// Whoever has the key signs as much as it can; the day can still be put right, and adjusted.
    function test_a_stolen_key_cannot_use_up_a_day() public {
        vm.warp(_closeOf(DAY, 23));
        uint64 since = uint64(_closeOf(DAY, 23));
        for (uint256 n = 1; n <= 200; ++n) {
            _resign(PLANT_KEY, uint8(n));
        }
        _refuseSequence(PLANT_KEY, 201, 200);
        _compromise(since);
        ledger.scanCompromise(HARBOUR, 100);
        for (uint256 n = 201; n <= 250; ++n) {
            _resign(0x777, uint8(n));
        }
        assertEq(_tainted(DAY, 0), 0, "signed again");
        _refuseSequence(0x777, 251, 250);
        vm.warp(_finalityOf(DAY));
        for (uint256 n = 251; n <= 255; ++n) {
            adjust(_adjustment(uint8(n), uint8(n) - 1, _section(0, n)), _section(0, n - 1));
        }
        assertEq(lane(hourWord(DAY, 0), 0), 255);
        // A byte has no further sequence, and none comes again.
        _refuseAdjustment(255);
        _refuseAdjustment(0);
        assertEq(lane(hourWord(DAY, 0), 0), 255);
    }

    function _refuseAdjustment(uint8 sequence) private {
        Adjustment memory a = _adjustment(sequence, 255, _section(0, 1));
        bytes memory byOperator = sign(OPERATOR_KEY, a);
        bytes memory byAuditor = sign(AUDITOR_KEY, a);
        vm.expectRevert(abi.encodeWithSelector(ILedger.SequenceMismatch.selector, sequence, 256));
        ledger.adjust(a, _section(0, 255), byOperator, byAuditor);
    }

    function _resign(uint256 key, uint8 sequence) private {
        OpenBatch memory b = batch(PLANT, DAY, sequence, sequence - 1, _section(0, sequence));
        if (sequence == 1) record(key, b);
        else correct(key, b, _section(0, sequence - 1));
    }

    function _refuseSequence(uint256 key, uint8 sequence, uint8 last) private {
        OpenBatch memory b = batch(PLANT, DAY, sequence, sequence - 1, _section(0, sequence));
        bytes memory signature = sign(key, b);
        bytes memory old = _section(0, sequence - 1);
        vm.expectRevert(abi.encodeWithSelector(ILedger.SequenceReserved.selector, PLANT, DAY, sequence, last));
        ledger.correctOpen(b, signature, old);
        b.replaces = 0;
        signature = sign(key, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.SequenceReserved.selector, PLANT, DAY, sequence, last));
        ledger.recordOpen(b, signature);
    }

    function test_a_scan_in_parts_ends_the_same() public {
        vm.warp(_closeOf(DAY, 23));
        _recordHours(DAY, 1, 0, 1);
        uint64 since = uint64(_closeOf(DAY, 23));
        vm.warp(_closeOf(DAY + 1, 23));
        _recordHours(DAY + 1, 1, 5, 6);
        _compromise(since);
        assertTrue(!ledger.scanCompromise(HARBOUR, 0), "no day, no progress");
        uint256 calls = 0;
        while (!ledger.scanCompromise(HARBOUR, 1)) {
            ++calls;
            assertLe(calls, 20);
        }
        assertEq(_tainted(DAY, 0) + _tainted(DAY, 1) + _tainted(DAY + 1, 5) + _tainted(DAY + 1, 6), 4);
        assertEq(count(hourWord(DAY, 0), 224), 1);
    }

    function test_final_days_are_listed_as_adjusted_and_cleared_by_adjusting() public {
        vm.warp(_closeOf(DAY, 23));
        _recordHours(DAY, 1, 0, 1);
        uint64 since = uint64(_closeOf(DAY, 23));
        vm.warp(_finalityOf(DAY));
        _compromise(since);
        Adjustment memory a = _adjustment(2, 1, _section(0, 100));
        bytes memory old = abi.encodePacked(_section(0, 100), _section(1, 100));
        bytes memory byOperator = sign(OPERATOR_KEY, a);
        bytes memory byAuditor = sign(AUDITOR_KEY, a);
        vm.expectRevert(abi.encodeWithSelector(ILedger.CompromiseUnscanned.selector, PLANT, 0, 1));
        ledger.adjust(a, old, byOperator, byAuditor);
        ledger.scanCompromise(HARBOUR, 100);
        assertEq(ledger.adjustmentCount(HARBOUR), 1);
        assertEq(uint256(ledger.adjustmentDay(HARBOUR, 0)), DAY);
        assertEq(_tainted(DAY, 0), 1);
        ledger.adjust(a, old, byOperator, byAuditor);
        assertEq(_tainted(DAY, 0), 0);
        assertEq(_tainted(DAY, 1), 1);
    }

    function test_a_second_compromise_does_not_count_an_hour_twice() public {
        vm.warp(_closeOf(DAY, 23));
        _recordHours(DAY, 1, 0, 1);
        uint64 since = uint64(_closeOf(DAY, 23));
        _compromise(since);
        ledger.scanCompromise(HARBOUR, 100);
        vm.prank(operator);
        registry.revokeKey(PLANT, since);
        assertTrue(ledger.scanCompromise(HARBOUR, 100));
        assertEq(ledger.compromisesScanned(HARBOUR), 2);
        assertEq(_tainted(DAY, 0), 1);
        assertEq(count(hourWord(DAY, 0), 224), 1);
    }
}
