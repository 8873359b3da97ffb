// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { OpenBatch, PrivateBatch } from "contracts/interfaces/ILedger.sol";
import { GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Committed gas figures: whole transactions (intrinsic gas and calldata included), cold storage.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract LedgerGasTest is LedgerFixture {
    function test_open_100() public {
        _openInSteadyState("open_100", 100);
    }

    function test_open_500() public {
        _openInSteadyState("open_500", 500);
    }

    /// The second gateway in the hour; both gateways already sent an earlier hour of the day.
    function _openInSteadyState(string memory name, uint256 howMany) private {
        _twoGateways(howMany);
        for (uint8 hourOfDay = 0; hourOfDay < 2; ++hourOfDay) {
            vm.warp(_closeOf(DAY, hourOfDay));
            OpenBatch memory first = batch(PLANT, DAY, hourOfDay + 1, 0, _section(hourOfDay, howMany));
            record(PLANT_KEY, first);
            OpenBatch memory second = batch(POOL, DAY, hourOfDay + 1, 0, _section(hourOfDay, howMany));
            bytes memory signature = sign(POOL_KEY, second);
            ledger.recordOpen(second, signature);
        }
        vm.snapshotGasLastCall("Ledger", name);
        assertEq(count(hourWord(DAY, 1), 192), 2 * howMany);
    }

    function test_open_day_12_points() public {
        _twoGateways(12);
        vm.warp(_closeOf(DAY, 23));
        bytes memory payload;
        for (uint8 hourOfDay = 0; hourOfDay < 24; ++hourOfDay) {
            payload = abi.encodePacked(payload, _section(hourOfDay, 12));
        }
        OpenBatch memory b = batch(PLANT, DAY, 1, 0, payload);
        bytes memory signature = sign(PLANT_KEY, b);
        ledger.recordOpen(b, signature);
        vm.snapshotGasLastCall("Ledger", "open_day_12_points");
        assertEq(count(hourWord(DAY, 23), 192), 12);
    }

    function test_private_hour() public {
        GatewayBoundary memory change_ = GatewayBoundary(POOL, points(), members("pool", Kind.LOAD, 5_000, 50));
        publish(DAY, changes(change_));
        for (uint8 hourOfDay = 0; hourOfDay < 2; ++hourOfDay) {
            vm.warp(_closeOf(DAY, hourOfDay));
            bytes memory sums = privateSum(Kind.LOAD, 50, 0, 41_000);
            PrivateBatch memory b = PrivateBatch(POOL, DAY, hourOfDay + 1, 0, 0, privateSection(hourOfDay, 1, sums));
            bytes memory signature = sign(POOL_KEY, b);
            ledger.recordPrivate(b, signature);
        }
        vm.snapshotGasLastCall("Ledger", "private_hour_fresh");
        assertEq(count(hourWord(DAY, 1), 208), 50);
    }

    function test_correction_of_an_hour() public {
        _twoGateways(100);
        vm.warp(_closeOf(DAY, 0));
        bytes memory old = _section(0, 100);
        record(PLANT_KEY, batch(PLANT, DAY, 1, 0, old));
        OpenBatch memory b = batch(PLANT, DAY, 2, 1, old);
        bytes memory signature = sign(PLANT_KEY, b);
        ledger.correctOpen(b, signature, old);
        vm.snapshotGasLastCall("Ledger", "correct_open_100");
        assertEq(count(hourWord(DAY, 0), 192), 100);
    }

    function test_finalise_and_verdict() public {
        _twoGateways(8);
        vm.prank(administrator);
        bytes32 id = assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
        for (uint32 day = DAY; day < DAY + 2; ++day) {
            vm.warp(_closeOf(day, 23));
            bytes memory payload;
            for (uint8 hourOfDay = 0; hourOfDay < 24; ++hourOfDay) {
                payload = abi.encodePacked(payload, _section(hourOfDay, 8));
            }
            record(PLANT_KEY, batch(PLANT, day, 1, 0, payload));
            record(POOL_KEY, batch(POOL, day, 1, 0, payload));
            bytes memory data = dayFactors(1900, 2300);
            vm.prank(publisher);
            factors.publishDay(VINTAGE, ZONE, day, data);
            if (day == DAY + 1) vm.snapshotGasLastCall("Factors", "publish_day");
        }
        vm.warp(_finalityOf(DAY));
        assessments.finalise(id, 1);
        vm.warp(_finalityOf(DAY + 1));
        assessments.finalise(id, 1);
        vm.snapshotGasLastCall("Assessments", "finalise_day");
        assertEq(uint256(assessments.assessment(id).frontier), DAY + 2);
    }

    function _twoGateways(uint256 howMany) private {
        uint8[] memory kinds = new uint8[](4);
        (kinds[0], kinds[1], kinds[2], kinds[3]) = (Kind.GRID, Kind.GENERATION, Kind.LOAD, Kind.STORAGE);
        publish(
            DAY,
            changes(
                change(PLANT, manyPoints("P", kinds, howMany, 5_000)),
                change(POOL, manyPoints("Q", kinds, howMany, 5_000))
            )
        );
    }

    /// Balanced: what the grid point and the generator supply, the load and the battery draw.
    function _section(uint8 hourOfDay, uint256 howMany) private pure returns (bytes memory payload) {
        payload = abi.encodePacked(hourOfDay);
        for (uint256 i = 0; i < howMany; ++i) {
            if (i % 4 < 2) payload = abi.encodePacked(payload, measured(1_234 + i, 0));
            else payload = abi.encodePacked(payload, measured(0, 1_232 + i));
        }
    }
}
