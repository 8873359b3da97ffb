// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { Code } from "contracts/libraries/Code.sol";
import { Boundary, GatewayBoundary, GatewayCaps, PointDeclaration, PointStatus } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice Boundary versions: what is in force when, what a version may declare, and what restarts the twelve months.
contract RegistryBoundaryTest is RegistryFixture {
    uint256 private constant FIRST = TODAY + 1;
    uint256 private constant SECOND = TODAY + 10;
    uint256 private constant THIRD = TODAY + 20;

    PointDeclaration private grid = point("GRID.1", Kind.GRID, 100_000);
    PointDeclaration private solar = point("PV_1", Kind.GENERATION, 50_000);
    PointDeclaration private load = point("LOAD-1", Kind.LOAD, 20_000);
    PointDeclaration private swimming = point("SWIM", Kind.LOAD, 30_000);
    PointDeclaration private battery = point("BAT", Kind.STORAGE, 10_000);
    PointDeclaration private vehicles = point("V2G", Kind.VEHICLE, 5_000);
    PointDeclaration private gas = point("GAS", 17, 40_000);

    function _publishFirst() private {
        publish(FIRST, changes(change(PLANT, points(grid, solar, load)), change(POOL, points(swimming, battery, gas))));
    }

    function _restartAfter(GatewayBoundary[] memory list) private returns (uint32) {
        publish(SECOND, list);
        return registry.boundary(HARBOUR, SECOND).restartDay;
    }

    // --- what is in force when

    function test_a_version_is_in_force_from_its_first_day() public {
        _publishFirst();
        publish(SECOND, changes(change(PLANT, points(grid, solar))));
        assertEq(registry.boundaryVersions(HARBOUR), 2);

        assertEq(registry.boundary(HARBOUR, FIRST - 1).version, 0);
        assertEq(registry.boundary(HARBOUR, FIRST).version, 1);
        assertEq(registry.boundary(HARBOUR, SECOND - 1).version, 1);
        assertEq(registry.boundary(HARBOUR, SECOND).version, 2);
        assertEq(registry.boundary(HARBOUR, SECOND + 10_000).version, 2);
        assertEq(registry.boundary("none", SECOND).version, 0);

        assertEq(registry.boundary(HARBOUR, FIRST - 1).openPoints, 0);
        assertEq(registry.boundary(HARBOUR, SECOND - 1).openPoints, 6);
        assertEq(registry.boundary(HARBOUR, SECOND).openPoints, 5);
        (,, address before,) = registry.openContext(PLANT, FIRST - 1);
        (,, address first,) = registry.openContext(PLANT, SECOND - 1);
        (,, address second,) = registry.openContext(PLANT, SECOND);
        assertEq(before, address(0));
        assertEq(Code.read(first).length, 24);
        assertEq(Code.read(second).length, 16);
        (,, address unchanged,) = registry.openContext(POOL, SECOND);
        assertEq(Code.read(unchanged).length, 24);
    }

    /// Short histories mostly, because publishing takes most of the time; each asked about its ends and any day.
    function testFuzz_any_day_finds_its_version(uint8[6] memory steps, uint8 howMany, uint16 day) public {
        uint32[7] memory starts;
        uint256 versions = [uint256(0), 1, 1, 2, 2, 3, 4, 6][howMany % 8];
        uint32 fromDay = uint32(TODAY);
        for (uint256 i = 0; i < versions; ++i) {
            fromDay += uint32(bound(steps[i], 1, 18));
            starts[i + 1] = fromDay;
            publish(fromDay, changes(change(PLANT, points(grid))));
        }
        _assertVersion(starts, versions, bound(day, TODAY - 5, TODAY + 120));
        uint256 start = starts[bound(day, 0, versions)];
        if (start == 0) return;
        _assertVersion(starts, versions, start - 1);
        _assertVersion(starts, versions, start);
    }

    function _assertVersion(uint32[7] memory starts, uint256 versions, uint256 day) private view {
        uint256 expected = 0;
        while (expected < versions && starts[expected + 1] <= day) ++expected;
        assertEq(registry.boundary(HARBOUR, day).version, expected);
        (,, address manifest,) = registry.openContext(PLANT, uint32(day));
        (,, address exact,) = registry.openContext(PLANT, starts[expected]);
        assertEq(manifest, exact);
    }

    function test_the_past_and_today_cannot_be_rewritten() public {
        bytes4 selector = IRegistry.FromDayOutOfRange.selector;
        GatewayBoundary[] memory list = changes(change(PLANT, points(grid)));
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(selector, TODAY, TODAY + 1, TODAY + 366));
        registry.publishBoundary(HARBOUR, uint32(TODAY), list);
        vm.expectRevert(abi.encodeWithSelector(selector, 0, TODAY + 1, TODAY + 366));
        registry.publishBoundary(HARBOUR, 0, list);
        vm.expectRevert(abi.encodeWithSelector(selector, TODAY + 367, TODAY + 1, TODAY + 366));
        registry.publishBoundary(HARBOUR, uint32(TODAY + 367), list);
        registry.publishBoundary(HARBOUR, uint32(SECOND), list);
        vm.expectRevert(abi.encodeWithSelector(selector, SECOND, SECOND + 1, TODAY + 366));
        registry.publishBoundary(HARBOUR, uint32(SECOND), list);
        vm.expectRevert(abi.encodeWithSelector(selector, SECOND - 1, SECOND + 1, TODAY + 366));
        registry.publishBoundary(HARBOUR, uint32(SECOND - 1), list);
        vm.stopPrank();
    }

    function test_the_last_second_of_a_day_still_publishes_for_the_next() public {
        warpTo((TODAY + 1) * 1 days - 1);
        publish(TODAY + 1, changes(change(PLANT, points(grid))));
        warpTo((TODAY + 2) * 1 days);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.FromDayOutOfRange.selector, TODAY + 2, TODAY + 3, TODAY + 368));
        registry.publishBoundary(HARBOUR, uint32(TODAY + 2), changes(change(PLANT, points(grid))));
    }

    // --- what the ledger reads

    function test_manifest_holds_kind_renewable_efficiency_and_cap_in_the_order_of_the_records() public {
        PointDeclaration memory storage_ = point("BAT", Kind.STORAGE, 10_001);
        storage_.efficiencyPermille = 905;
        PointDeclaration memory renewable = point("PV_1", Kind.GENERATION, 1);
        renewable.renewable = true;
        PointDeclaration memory largest = point("GRID.1", Kind.GRID, 1_952_257_861);
        publish(FIRST, changes(change(PLANT, points(storage_, renewable, largest))));
        (address key, bytes32 districtId, address manifest, bool compromised) = registry.openContext(PLANT, FIRST);
        assertEq(key, registry.gateway(PLANT).key);
        assertEq(districtId, HARBOUR);
        assertFalse(compromised);
        assertEq(manifest.code, hex"00" hex"0400038900002af9" hex"0201000000000001" hex"010000007fffffff");
        assertEq(Code.read(manifest).length, 24);
    }

    function test_group_holds_kind_members_and_summed_cap_ascending() public {
        PointDeclaration[] memory list = new PointDeclaration[](16);
        PointDeclaration[] memory part = members("gas", 17, 1000, 5);
        for (uint256 i = 0; i < 5; ++i) {
            list[i] = part[i];
        }
        part = members("load", Kind.LOAD, 10_000, 6);
        for (uint256 i = 0; i < 6; ++i) {
            list[5 + i] = part[i];
        }
        part = members("solar", Kind.GENERATION, 3000, 5);
        for (uint256 i = 0; i < 5; ++i) {
            list[11 + i] = part[i];
        }
        publish(FIRST, changes(GatewayBoundary(POOL, points(grid, gas), list)));
        (address key, bytes32 districtId, address group, uint8 minimum, bool compromised) =
            registry.privateContext(POOL, FIRST);
        assertEq(key, registry.gateway(POOL).key);
        assertEq(districtId, HARBOUR);
        assertEq(minimum, 5);
        assertFalse(compromised);
        assertEq(Code.read(group), hex"0200000500004074" hex"06000006000101d0" hex"110000050000157c");

        GatewayCaps memory caps = registry.gatewayCaps(POOL, FIRST);
        assertEq(caps.openPoints, 2);
        assertEq(caps.members, 16);
        assertEq(caps.gridCapWh, 110_000);
        assertEq(caps.carrierCapWh, 44_000);
        assertEq(caps.memberCarrierCapWh, 5500);
        assertEq(caps.foreignCapWh, 0);
        Boundary memory whole = registry.boundary(HARBOUR, FIRST);
        assertEq(whole.carrierCapWh, 49_500);
        assertEq(whole.members, 16);
        assertTrue(whole.loadMetered);
        assertEq(registry.gatewayCaps(POOL, FIRST - 1).openPoints, 0);
        (,, address earlier,,) = registry.privateContext(POOL, FIRST - 1);
        assertEq(earlier, address(0));
    }

    function test_boundary_sums_the_caps_of_all_gateways() public {
        PointDeclaration memory diesel = point("DIESEL", Kind.FUEL_GENERATION, 1000);
        publish(
            FIRST, changes(change(PLANT, points(grid, vehicles, diesel)), change(POOL, points(gas, point("G2", 1, 10))))
        );
        Boundary memory whole = registry.boundary(HARBOUR, FIRST);
        assertEq(whole.gridCapWh, 110_011);
        assertEq(whole.carrierCapWh, 44_000);
        assertEq(whole.foreignCapWh, 6600);
        assertFalse(whole.loadMetered);
        assertEq(whole.openPoints, 5);
        assertEq(registry.gatewayCaps(PLANT, FIRST).foreignCapWh, 6600);

        publish(SECOND, changes(change(POOL, points(load))));
        whole = registry.boundary(HARBOUR, SECOND);
        assertEq(whole.gridCapWh, 110_000);
        assertEq(whole.carrierCapWh, 0);
        assertTrue(whole.loadMetered);
        assertEq(whole.openPoints, 4);
    }

    function test_contexts_are_zero_for_what_is_missing() public {
        (address key, bytes32 districtId, address manifest, bool compromised) = registry.openContext("none", FIRST);
        assertEq(key, address(0));
        assertEq(districtId, 0);
        assertEq(manifest, address(0));
        assertFalse(compromised);
        _publishFirst();
        vm.prank(operator);
        registry.revokeKey(PLANT, START);
        (key, districtId, manifest, compromised) = registry.openContext(PLANT, FIRST);
        assertEq(key, address(0));
        assertEq(districtId, HARBOUR);
        assertTrue(manifest != address(0));
        assertTrue(compromised);
        (,, address group,,) = registry.privateContext(PLANT, FIRST);
        assertEq(group, address(0));
    }

    // --- what restarts the twelve months

    function test_the_first_version_starts_the_twelve_months() public {
        _publishFirst();
        assertEq(registry.boundary(HARBOUR, FIRST).restartDay, FIRST);
        assertEq(registry.boundary(HARBOUR, FIRST - 1).restartDay, 0);
    }

    function test_adding_does_not_restart() public {
        _publishFirst();
        PointDeclaration memory more = point("LOAD-2", Kind.LOAD, 1);
        assertEq(_restartAfter(changes(change(POOL, _with(points(swimming, battery, gas), more)))), FIRST);
    }

    function test_removing_a_load_a_generator_a_grid_or_a_carrier_point_restarts() public {
        _publishFirst();
        uint256 snapshot = vm.snapshotState();
        assertEq(_restartAfter(changes(change(POOL, points(battery, gas)))), SECOND, "load");
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(change(PLANT, points(grid, load)))), SECOND, "generator");
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(change(PLANT, points(solar, load)))), SECOND, "grid");
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(change(POOL, points(swimming, battery)))), SECOND, "carrier");
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(change(POOL, points()))), SECOND, "whole gateway");
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(change(POOL, points(swimming, gas)))), FIRST, "a battery may go");
        // Later versions keep the latest restart, earlier days their own.
        assertEq(registry.boundary(HARBOUR, SECOND - 1).restartDay, FIRST);
        publish(THIRD, changes(change(POOL, points(gas))));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, THIRD);
        assertEq(registry.boundary(HARBOUR, THIRD - 1).restartDay, FIRST);
        publish(THIRD + 1, changes(change(POOL, points(gas))));
        assertEq(registry.boundary(HARBOUR, THIRD + 1).restartDay, THIRD);
    }

    function test_removing_a_load_and_adding_another_restarts() public {
        _publishFirst();
        PointDeclaration memory other = point("LOAD-2", Kind.LOAD, 30_000);
        assertEq(_restartAfter(changes(change(POOL, points(other, battery, gas)))), SECOND);
    }

    function test_changing_the_kind_restarts() public {
        _publishFirst();
        PointDeclaration memory disguised = point("SWIM", Kind.STORAGE, 30_000);
        assertEq(_restartAfter(changes(change(POOL, points(disguised, battery, gas)))), SECOND);
    }

    function test_turning_a_battery_into_a_load_adds_a_load() public {
        _publishFirst();
        PointDeclaration memory honest = point("BAT", Kind.LOAD, 10_000);
        assertEq(_restartAfter(changes(change(POOL, points(swimming, honest, gas)))), FIRST);
    }

    function test_a_lower_nameplate_restarts_and_a_higher_does_not() public {
        _publishFirst();
        uint256 snapshot = vm.snapshotState();
        PointDeclaration memory less = point("SWIM", Kind.LOAD, 29_999);
        assertEq(_restartAfter(changes(change(POOL, points(less, battery, gas)))), SECOND);
        vm.revertToState(snapshot);
        PointDeclaration memory more = point("SWIM", Kind.LOAD, 30_001);
        assertEq(_restartAfter(changes(change(POOL, points(more, battery, gas)))), FIRST);
        publish(THIRD, changes(change(POOL, points(swimming, battery, gas))));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, THIRD, "back to the lower one");
    }

    function test_moving_within_the_district_in_one_call_does_not_restart_in_any_order() public {
        _publishFirst();
        uint256 snapshot = vm.snapshotState();
        GatewayBoundary memory plant = change(PLANT, points(grid, solar, swimming));
        GatewayBoundary memory pool = change(POOL, points(load, battery, gas));
        assertEq(_restartAfter(changes(plant, pool)), FIRST);
        vm.revertToState(snapshot);
        assertEq(_restartAfter(changes(pool, plant)), FIRST);
        assertEq(registry.pointStatus("SWIM").gatewayId, PLANT);
        // ... and does not hide a later removal.
        publish(THIRD, changes(change(PLANT, points(grid, solar))));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, THIRD);
    }

    function test_moving_within_the_district_in_two_calls_is_a_removal() public {
        _publishFirst();
        publish(SECOND, changes(change(POOL, points(battery, gas))));
        publish(THIRD, changes(change(PLANT, points(grid, solar, swimming))));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, THIRD, "and the plant dropped its load");
        assertEq(registry.boundary(HARBOUR, SECOND).restartDay, SECOND);
    }

    function test_a_point_that_left_for_another_district_restarts_only_the_first() public {
        _publishFirst();
        publish(SECOND, changes(change(POOL, points(battery, gas))));
        publishHill(SECOND - 1, changes(change(HILL_GATEWAY, points(point("HILL-GRID", Kind.GRID, 5)))));
        publishHill(SECOND, changes(change(HILL_GATEWAY, points(point("HILL-GRID", Kind.GRID, 5), swimming))));
        assertEq(registry.boundary(HARBOUR, SECOND).restartDay, SECOND);
        assertEq(registry.boundary(HILL, SECOND).restartDay, SECOND - 1);
    }

    function test_members_who_leave_restart() public {
        PointDeclaration[] memory six = members("load", Kind.LOAD, 10_000, 6);
        publish(FIRST, changes(GatewayBoundary(POOL, points(), six)));
        PointDeclaration[] memory five = members("load", Kind.LOAD, 10_000, 5);
        publish(SECOND, changes(GatewayBoundary(POOL, points(), five)));
        assertEq(registry.boundary(HARBOUR, SECOND).restartDay, SECOND);
        publish(THIRD, changes(GatewayBoundary(POOL, points(), six)));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, SECOND);
    }

    // --- one point, one place

    function test_a_point_is_in_one_place_at_a_time() public {
        _publishFirst();
        vm.startPrank(operator);
        bytes4 taken = IRegistry.PointTaken.selector;
        vm.expectRevert(abi.encodeWithSelector(taken, bytes32("SWIM"), POOL));
        registry.publishBoundary(HARBOUR, uint32(SECOND), changes(change(PLANT, points(grid, solar, swimming))));
        vm.expectRevert(abi.encodeWithSelector(taken, bytes32("GRID.1"), PLANT));
        registry.publishBoundary(HARBOUR, uint32(SECOND), changes(change(PLANT, points(grid, grid))));
        vm.expectRevert(abi.encodeWithSelector(taken, bytes32("GRID.1"), PLANT));
        registry.publishBoundary(
            HARBOUR, uint32(SECOND), changes(change(PLANT, points(grid)), change(POOL, points(grid)))
        );
        vm.expectRevert(abi.encodeWithSelector(IRegistry.GatewayListedTwice.selector, PLANT));
        registry.publishBoundary(
            HARBOUR, uint32(SECOND), changes(change(PLANT, points(grid)), change(PLANT, points(solar)))
        );
        vm.stopPrank();
        vm.prank(hillOperator);
        vm.expectRevert(abi.encodeWithSelector(taken, bytes32("SWIM"), POOL));
        registry.publishBoundary(HILL, uint32(SECOND), changes(change(HILL_GATEWAY, points(swimming))));
    }

    function test_a_point_is_free_from_the_day_on_which_its_gateway_drops_it() public {
        _publishFirst();
        publish(SECOND, changes(change(POOL, points(battery, gas))));
        assertEq(registry.pointStatus("SWIM").freeFrom, SECOND);
        vm.startPrank(hillOperator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointNotYetFree.selector, bytes32("SWIM"), SECOND, SECOND - 1));
        registry.publishBoundary(HILL, uint32(SECOND - 1), changes(change(HILL_GATEWAY, points(swimming))));
        registry.publishBoundary(HILL, uint32(SECOND), changes(change(HILL_GATEWAY, points(swimming))));
        vm.stopPrank();
        PointStatus memory status = registry.pointStatus("SWIM");
        assertEq(status.gatewayId, HILL_GATEWAY);
        assertEq(status.fromDay, SECOND);
        assertEq(status.freeFrom, type(uint32).max);
    }

    function test_gateways_of_other_districts_cannot_be_listed() public {
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.WrongDistrict.selector, HILL_GATEWAY, HILL, HARBOUR));
        registry.publishBoundary(HARBOUR, uint32(FIRST), changes(change(HILL_GATEWAY, points(grid))));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownGateway.selector, bytes32("none")));
        registry.publishBoundary(HARBOUR, uint32(FIRST), changes(change("none", points(grid))));
        vm.expectRevert(
            abi.encodeWithSelector(
                IRegistry.OtherOrganisation.selector, operator, bytes32("metering"), bytes32("hill-metering")
            )
        );
        registry.publishBoundary(HILL, uint32(FIRST), changes(change(HILL_GATEWAY, points(grid))));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NothingChanged.selector, HARBOUR));
        registry.publishBoundary(HARBOUR, uint32(FIRST), new GatewayBoundary[](0));
        vm.stopPrank();
    }

    // --- meter exchange

    function _exchange(bytes32 oldId, bytes32 newId) private {
        vm.prank(operator);
        registry.exchangeMeter(HARBOUR, oldId, newId);
    }

    function test_an_exchanged_meter_is_the_same_point_without_a_restart() public {
        _publishFirst();
        warpTo((SECOND - 2) * 1 days);
        _exchange("SWIM", "SWIM.B");
        PointDeclaration memory renamed = point("SWIM.B", Kind.LOAD, 30_000);
        assertEq(registry.pointStatus("SWIM.B").gatewayId, POOL);
        assertEq(registry.pointStatus("SWIM.B").fromDay, FIRST);
        assertTrue(registry.pointStatus("SWIM").retired);
        assertEq(_restartAfter(changes(change(POOL, points(renamed, battery, gas)))), FIRST);
        publish(THIRD, changes(change(POOL, points(battery, gas))));
        assertEq(registry.boundary(HARBOUR, THIRD).restartDay, THIRD, "the new name is a load to account for too");
    }

    function test_an_exchange_frees_no_meter() public {
        _publishFirst();
        _exchange("SWIM", "SWIM.B");
        vm.prank(hillOperator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointRetired.selector, bytes32("SWIM")));
        registry.publishBoundary(HILL, uint32(SECOND), changes(change(HILL_GATEWAY, points(swimming))));
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointRetired.selector, bytes32("SWIM")));
        registry.publishBoundary(HARBOUR, uint32(SECOND), changes(change(POOL, points(swimming, battery, gas))));
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointRetired.selector, bytes32("SWIM")));
        registry.exchangeMeter(HARBOUR, "SWIM.B", "SWIM");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointNotDeclared.selector, bytes32("SWIM"), HARBOUR));
        registry.exchangeMeter(HARBOUR, "SWIM", "SWIM.C");
        vm.stopPrank();
        // Declaring the exchanged point under a third name is a removal.
        PointDeclaration memory third = point("SWIM.C", Kind.LOAD, 30_000);
        assertEq(_restartAfter(changes(change(POOL, points(third, battery, gas)))), SECOND);
    }

    function test_an_exchange_takes_no_meter_that_is_in_use() public {
        _publishFirst();
        publishHill(FIRST, changes(change(HILL_GATEWAY, points(point("HILL-LOAD", Kind.LOAD, 5)))));
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointTaken.selector, bytes32("LOAD-1"), PLANT));
        registry.exchangeMeter(HARBOUR, "SWIM", "LOAD-1");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointTaken.selector, bytes32("SWIM"), POOL));
        registry.exchangeMeter(HARBOUR, "SWIM", "SWIM");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointTaken.selector, bytes32("HILL-LOAD"), HILL_GATEWAY));
        registry.exchangeMeter(HARBOUR, "SWIM", "HILL-LOAD");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointNotDeclared.selector, bytes32("HILL-LOAD"), HARBOUR));
        registry.exchangeMeter(HARBOUR, "HILL-LOAD", "NEW");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointNotDeclared.selector, bytes32("NEVER"), HARBOUR));
        registry.exchangeMeter(HARBOUR, "NEVER", "NEW");
        bytes32 commitment = keccak256("member");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidSerial.selector, commitment));
        registry.exchangeMeter(HARBOUR, "SWIM", commitment);
        vm.stopPrank();
        vm.prank(hillOperator);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRegistry.OtherOrganisation.selector, hillOperator, bytes32("hill-metering"), bytes32("metering")
            )
        );
        registry.exchangeMeter(HARBOUR, "SWIM", "NEW");
    }

    function test_a_dropped_point_can_be_exchanged_until_it_is_gone() public {
        _publishFirst();
        publish(SECOND, changes(change(POOL, points(battery, gas))));
        warpTo(SECOND * 1 days - 1);
        _exchange("SWIM", "SWIM.B");
        assertEq(registry.pointStatus("SWIM.B").freeFrom, SECOND);
        warpTo(SECOND * 1 days);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.PointNotDeclared.selector, bytes32("SWIM.B"), HARBOUR));
        registry.exchangeMeter(HARBOUR, "SWIM.B", "SWIM.C");
    }

    function test_a_members_meter_is_exchanged_by_commitment() public {
        PointDeclaration[] memory five = members("load", Kind.LOAD, 10_000, 5);
        publish(FIRST, changes(GatewayBoundary(POOL, points(), five)));
        bytes32 fresh = keccak256("fresh");
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.ReadableMember.selector, bytes32("SERIAL-7")));
        registry.exchangeMeter(HARBOUR, five[0].id, "SERIAL-7");
        _exchange(five[0].id, fresh);
        five[0].id = fresh;
        publish(SECOND, changes(GatewayBoundary(POOL, points(), five)));
        assertEq(registry.boundary(HARBOUR, SECOND).restartDay, FIRST);
    }

    // --- what can be declared

    function _refuse(PointDeclaration memory wrong, bool isMember, bytes memory reason) private {
        GatewayBoundary memory part = isMember
            ? GatewayBoundary(PLANT, points(), points(wrong))
            : GatewayBoundary(PLANT, points(wrong), points());
        vm.prank(operator);
        vm.expectRevert(reason);
        registry.publishBoundary(HARBOUR, uint32(FIRST), changes(part));
    }

    function testFuzz_kinds_outside_the_list_are_refused(uint8 kind) public {
        bool known = (kind >= 1 && kind <= 6) || (kind >= 17 && kind <= 24);
        if (known) {
            publish(FIRST, changes(change(PLANT, points(point("P", kind, 10)))));
            (,, address manifest,) = registry.openContext(PLANT, FIRST);
            assertEq(uint8(Code.read(manifest)[0]), kind);
        } else {
            _refuse(
                point("P", kind, 10), false, abi.encodeWithSelector(IRegistry.UnknownKind.selector, bytes32("P"), kind)
            );
        }
    }

    function testFuzz_members_have_generation_storage_load_and_carriers_only(uint8 kind) public {
        bool allowed = kind == 2 || kind == 4 || kind == 6 || (kind >= 17 && kind <= 24);
        bytes32 id = keccak256("member");
        if (allowed) {
            publish(FIRST, changes(GatewayBoundary(PLANT, points(), points(point(id, kind, 10)))));
            assertEq(registry.boundary(HARBOUR, FIRST).members, 1);
        } else {
            _refuse(point(id, kind, 10), true, abi.encodeWithSelector(IRegistry.KindNotPrivate.selector, id, kind));
        }
    }

    function test_declarations_that_make_no_sense_are_refused() public {
        bytes4 nameplate = IRegistry.NameplateOutOfRange.selector;
        _refuse(point("P", 1, 0), false, abi.encodeWithSelector(nameplate, bytes32("P"), 0, 1_952_257_861));
        _refuse(
            point("P", 1, 1_952_257_862),
            false,
            abi.encodeWithSelector(nameplate, bytes32("P"), 1_952_257_862, 1_952_257_861)
        );
        PointDeclaration memory magic = point("P", Kind.STORAGE, 10);
        magic.efficiencyPermille = 1001;
        _refuse(magic, false, abi.encodeWithSelector(IRegistry.EfficiencyAboveOne.selector, bytes32("P"), 1001));
        _refuse(point("P Q", 1, 1), false, abi.encodeWithSelector(IRegistry.InvalidSerial.selector, bytes32("P Q")));
        _refuse(point(0, 1, 1), false, abi.encodeWithSelector(IRegistry.InvalidSerial.selector, bytes32(0)));
        _refuse(point(0, 6, 1), true, abi.encodeWithSelector(IRegistry.InvalidSerial.selector, bytes32(0)));
        bytes32 commitment = keccak256("member");
        _refuse(point(commitment, 1, 1), false, abi.encodeWithSelector(IRegistry.InvalidSerial.selector, commitment));
        _refuse(
            point("SERIAL", 6, 1), true, abi.encodeWithSelector(IRegistry.ReadableMember.selector, bytes32("SERIAL"))
        );
    }

    function test_caps_of_a_district_fit_the_lanes_of_an_hour() public {
        // 2 * 2,147,483,647 is one less than the limit.
        PointDeclaration memory a = point("A", Kind.GENERATION, 1_952_257_861);
        PointDeclaration memory b = point("B", Kind.LOAD, 1_952_257_861);
        PointDeclaration memory c = point("C", Kind.LOAD, 1);
        PointDeclaration memory d = point("D", Kind.FUEL_GENERATION, 1);
        publish(FIRST, changes(change(PLANT, points(a, b)), change(POOL, points(c))));
        vm.startPrank(operator);
        bytes4 selector = IRegistry.CapsTooLarge.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, "generation and load", uint256(2) ** 32, type(uint32).max));
        registry.publishBoundary(HARBOUR, uint32(SECOND), changes(change(POOL, points(c, d))));
        vm.stopPrank();
        publish(SECOND, changes(change(PLANT, points(a)), change(POOL, points(c, d))));
        (a.kind, b.kind, c.kind) = (Kind.GRID, Kind.GRID, Kind.GRID);
        c.nameplateW = 2;
        vm.startPrank(hillOperator);
        (a.id, b.id, c.id) = ("A2", "B2", "C2");
        vm.expectRevert(abi.encodeWithSelector(selector, "grid", uint256(2) ** 32, type(uint32).max));
        registry.publishBoundary(HILL, uint32(FIRST), changes(change(HILL_GATEWAY, points(a, b, c))));
        (a.kind, b.kind, c.kind) = (Kind.STORAGE, Kind.VEHICLE, Kind.VEHICLE);
        vm.expectRevert(abi.encodeWithSelector(selector, "storage and vehicles", uint256(2) ** 32, type(uint32).max));
        registry.publishBoundary(HILL, uint32(FIRST), changes(change(HILL_GATEWAY, points(a, b, c))));
        (a.kind, b.kind, c.kind) = (24, 24, 24);
        vm.expectRevert(abi.encodeWithSelector(selector, "carrier", uint256(2) ** 32, type(uint32).max));
        registry.publishBoundary(HILL, uint32(FIRST), changes(change(HILL_GATEWAY, points(a, b, c))));
        vm.stopPrank();
    }

    function test_a_gateway_holds_2000_open_points() public {
        PointDeclaration[] memory list = new PointDeclaration[](2000);
        for (uint256 i = 0; i < 2000; ++i) {
            list[i] = point(_serial(i), Kind.LOAD, 1000);
        }
        publish(FIRST, changes(change(PLANT, list)));
        (,, address manifest,) = registry.openContext(PLANT, FIRST);
        assertEq(Code.read(manifest).length, 16_000);
        assertEq(registry.boundary(HARBOUR, FIRST).openPoints, 2000);
        PointDeclaration[] memory more = _with(list, point(_serial(2000), Kind.LOAD, 1000));
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.TooManyPoints.selector, 2001, 2000));
        registry.publishBoundary(HARBOUR, uint32(SECOND), changes(change(PLANT, more)));
        // One of two thousand dropped is seen.
        list[1999] = point(_serial(2000), Kind.LOAD, 1000);
        publish(SECOND, changes(change(PLANT, list)));
        assertEq(registry.boundary(HARBOUR, SECOND).restartDay, SECOND);
    }

    function _serial(uint256 i) private pure returns (bytes32) {
        return bytes32(
            abi.encodePacked(
                "m",
                bytes1(uint8(48 + i / 1000 % 10)),
                bytes1(uint8(48 + i / 100 % 10)),
                bytes1(uint8(48 + i / 10 % 10)),
                bytes1(uint8(48 + i % 10))
            )
        );
    }

    function _with(PointDeclaration[] memory list, PointDeclaration memory one)
        private
        pure
        returns (PointDeclaration[] memory longer)
    {
        longer = new PointDeclaration[](list.length + 1);
        for (uint256 i = 0; i < list.length; ++i) {
            longer[i] = list[i];
        }
        longer[list.length] = one;
    }
}
