// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger, PrivateBatch } from "contracts/interfaces/ILedger.sol";
import { GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Private batches: households are seen only as sums over enough of them.
contract LedgerPrivateTest is LedgerFixture {
    uint8 private constant GAS = 17;

    /// POOL: 6 generators and 8 loads of 1,100 Wh cap each, 5 gas meters.
    function setUp() public override {
        super.setUp();
        PointDeclaration[] memory list = new PointDeclaration[](19);
        for (uint256 i = 0; i < 19; ++i) {
            uint8 kind = i < 6 ? Kind.GENERATION : i < 14 ? Kind.LOAD : GAS;
            list[i] = point(keccak256(abi.encode("member", i)), kind, 1_000);
        }
        publish(DAY, changes(GatewayBoundary(POOL, points(point("GRID", Kind.GRID, 100_000)), list)));
        vm.warp(_closeOf(DAY, 23));
    }

    function _sums(uint16 producers, uint256 supplyWh, uint16 loads, uint256 drawWh, uint16 gasMeters, uint256 boughtWh)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            privateSum(Kind.GENERATION, producers, supplyWh, 0),
            privateSum(Kind.LOAD, loads, 0, drawWh),
            privateSum(GAS, gasMeters, boughtWh, 0)
        );
    }

    function _section(uint8 hourOfDay) private pure returns (bytes memory) {
        return privateSection(hourOfDay, 3, _sums(6, 600, 8, 800, 5, 500));
    }

    function _batch(uint8 sequence, uint8 replaces, uint16 changed, bytes memory payload)
        private
        pure
        returns (PrivateBatch memory)
    {
        return PrivateBatch(POOL, DAY, sequence, replaces, changed, payload);
    }

    function _expectRefused(PrivateBatch memory b, bytes memory reason) private {
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectRevert(reason);
        ledger.recordPrivate(b, signature);
    }

    function _expectRefused(bytes memory sums, bytes memory reason) private {
        _expectRefused(_batch(1, 0, 0, privateSection(0, 3, sums)), reason);
    }

    function test_sums_and_members() public {
        record(POOL_KEY, _batch(1, 0, 0, abi.encodePacked(_section(3), _section(9))));
        uint256 word = hourWord(DAY, 9);
        assertEq(word, hourWord(DAY, 3));
        assertEq(lane(word, 2), 600, "production");
        assertEq(lane(word, 3), 800, "consumption");
        assertEq(count(word, 192), 0, "no open record");
        assertEq(count(word, 208), 19, "members");
        assertEq(word >> 224, 1 << 16, "carriers, no extra word");
        (, uint256[48] memory carriers,) = ledger.detailWords(HARBOUR, DAY);
        assertEq(carriers[18], 500);
        assertEq(ledger.streamWord(POOL, DAY, true) >> 192 & 0xff, 1);
        assertEq(ledger.streamWord(POOL, DAY, false), 0, "the open stream is another");
        assertEq(ledger.batchHash(POOL, DAY, true, 1), keccak256(abi.encodePacked(_section(3), _section(9))));
    }

    /// Which gas meters are missing is unknown: the whole kind's cap is.
    function test_a_missing_carrier_member_is_the_whole_cap() public {
        bytes memory sums = abi.encodePacked(
            privateSum(Kind.GENERATION, 5, 1, 0), privateSum(Kind.LOAD, 5, 0, 1), privateSum(GAS, 4, 0, 0)
        );
        record(POOL_KEY, _batch(1, 0, 0, privateSection(0, 3, sums)));
        assertEq(extraWord(DAY, 0), uint256(5 * 1_100) << 72);
        assertEq(count(hourWord(DAY, 0), 208), 14);
        assertEq(count(hourWord(DAY, 0), 224), 1);
    }

    function test_refuses_too_few_members_behind_a_sum() public {
        _expectRefused(
            _sums(4, 1, 8, 0, 5, 0), abi.encodeWithSelector(ILedger.TooFewMembers.selector, Kind.GENERATION, 4, 5)
        );
        _expectRefused(_sums(6, 0, 1, 1, 5, 0), abi.encodeWithSelector(ILedger.TooFewMembers.selector, Kind.LOAD, 1, 5));
        _expectRefused(_sums(6, 0, 8, 0, 0, 1), abi.encodeWithSelector(ILedger.TooFewMembers.selector, GAS, 0, 5));
        // A sum of zero tells nothing of anybody.
        record(POOL_KEY, _batch(1, 0, 0, privateSection(0, 3, _sums(0, 0, 5, 5, 1, 0))));
    }

    function test_refuses_more_than_is_registered() public {
        _expectRefused(
            _sums(7, 1, 8, 1, 5, 1), abi.encodeWithSelector(ILedger.TooManyMembers.selector, Kind.GENERATION, 7, 6)
        );
        _expectRefused(
            _sums(6, 6_601, 8, 1, 5, 1),
            abi.encodeWithSelector(ILedger.SumAboveCap.selector, Kind.GENERATION, 6_601, 6_600)
        );
        _expectRefused(
            _sums(6, 1, 8, 8_801, 5, 1), abi.encodeWithSelector(ILedger.SumAboveCap.selector, Kind.LOAD, 8_801, 8_800)
        );
        record(POOL_KEY, _batch(1, 0, 0, privateSection(0, 3, _sums(6, 6_600, 8, 8_800, 5, 5_500))));
    }

    function test_refuses_other_kinds_and_lengths() public {
        bytes memory swapped = abi.encodePacked(
            privateSum(Kind.LOAD, 8, 0, 1), privateSum(Kind.GENERATION, 6, 1, 0), privateSum(GAS, 5, 1, 0)
        );
        _expectRefused(swapped, abi.encodeWithSelector(ILedger.KindsMismatch.selector, Kind.LOAD, Kind.GENERATION));
        _expectRefused(
            _batch(1, 0, 0, privateSection(0, 2, _sums(6, 1, 8, 1, 5, 1))),
            abi.encodeWithSelector(ILedger.KindCountMismatch.selector, 2, 3)
        );
        uint256 unit = 34 + 3 * 11;
        _expectRefused(_batch(1, 0, 0, ""), abi.encodeWithSelector(ILedger.PayloadLength.selector, 0, unit));
        _expectRefused(
            _batch(1, 0, 0, abi.encodePacked(_section(0), uint8(0))),
            abi.encodeWithSelector(ILedger.PayloadLength.selector, unit + 1, unit)
        );
        bytes memory loadSupply = abi.encodePacked(
            privateSum(Kind.GENERATION, 6, 1, 0), privateSum(Kind.LOAD, 8, 1, 1), privateSum(GAS, 5, 1, 0)
        );
        _expectRefused(loadSupply, abi.encodeWithSelector(ILedger.LoadSupply.selector, 1, 1));
    }

    function test_a_correction_changes_enough_members() public {
        record(POOL_KEY, _batch(1, 0, 0, _section(0)));
        bytes memory changed = privateSection(0, 3, _sums(6, 700, 8, 800, 5, 500));
        PrivateBatch memory b = _batch(2, 1, 4, changed);
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.TooFewChangedMembers.selector, 4, 5));
        ledger.correctPrivate(b, signature, _section(0));
        // The number is signed.
        b.changedMembers = 5;
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.correctPrivate(b, signature, _section(0));
        signature = sign(POOL_KEY, b);
        ledger.correctPrivate(b, signature, _section(0));
        assertEq(lane(hourWord(DAY, 0), 2), 700);
        assertEq(count(hourWord(DAY, 0), 208), 19);
        assertEq(count(hourWord(DAY, 0), 240), 1);
    }

    function test_record_and_correct_private_apart() public {
        _expectRefused(_batch(1, 1, 9, _section(0)), abi.encodeWithSelector(ILedger.ReplacesMismatch.selector, 1));
        PrivateBatch memory b = _batch(1, 0, 9, _section(0));
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.ReplacesMismatch.selector, 0));
        ledger.correctPrivate(b, signature, "");
    }

    function test_refuses_another_signer_a_replay_and_late_batches() public {
        PrivateBatch memory b = _batch(1, 0, 0, _section(0));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.WrongSigner.selector, vm.addr(PLANT_KEY), vm.addr(POOL_KEY)));
        ledger.recordPrivate(b, signature);
        record(POOL_KEY, b);
        _expectRefused(b, abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 1, 2));
        _expectRefused(
            _batch(2, 0, 0, _section(0)),
            abi.encodeWithSelector(ILedger.HourAlreadyRecorded.selector, uint32(DAY * 24), 1)
        );
        b = PrivateBatch(PLANT, DAY, 1, 0, 0, _section(0));
        signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NoPoints.selector, PLANT, DAY));
        ledger.recordPrivate(b, signature);
        vm.warp(_finalityOf(DAY));
        _expectRefused(
            _batch(2, 0, 0, _section(1)), abi.encodeWithSelector(ILedger.DayIsFinal.selector, DAY, block.timestamp)
        );
    }

    function test_an_event_rebuilds_the_batch() public {
        PrivateBatch memory b = _batch(1, 0, 3, _section(0));
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectEmit(address(ledger));
        emit ILedger.PrivateBatchRecorded(POOL, HARBOUR, DAY, 1, 0, vm.addr(POOL_KEY), 3, b.payload, signature);
        ledger.recordPrivate(b, signature);
    }
}
