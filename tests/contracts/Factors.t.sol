// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IFactors } from "contracts/interfaces/IFactors.sol";
import { Code } from "contracts/libraries/Code.sol";
import { CarrierFactor, Resolution, StaticFactors, Vintage } from "contracts/types/Factor.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice Vintages, the days that they may publish, and what a missing day becomes.
contract FactorsTest is RegistryFixture {
    bytes32 private constant OLD = "mix-2024";
    bytes32 private constant NEW = "mix-2025";
    uint32 private constant DAY = uint32(TODAY - 1);

    IFactors private factors;
    address private immutable rival = _account("rival publisher");

    function setUp() public override {
        super.setUp();
        factors = IFactors(deploy("Factors", abi.encode(registry)));
        bytes32 role = registry.FACTOR_PUBLISHER();
        vm.startPrank(administrator);
        registry.registerOrganisation("rival", "Another publisher");
        registry.enrol(rival, "rival", role);
        vm.stopPrank();
        _create(OLD, 0);
    }

    function _electricity() private pure returns (StaticFactors memory) {
        return StaticFactors(2000, 1500, 300, 1800, 1400, 200);
    }

    function _create(bytes32 id, bytes32 parent) private {
        vm.prank(publisher);
        factors.createVintage(id, parent, 100, 3000, 900, _electricity(), new CarrierFactor[](0));
    }

    function _day(uint16 seed) private pure returns (bytes memory day) {
        for (uint16 h = 0; h < 24; ++h) {
            day = bytes.concat(day, abi.encodePacked(1000 + seed + h, uint16(2000), uint16(0), uint16(7), h, uint16(9)));
        }
    }

    function _publish(bytes32 vintage, uint32 day, uint16 seed) private {
        vm.prank(publisher);
        factors.publishDay(vintage, ZONE, day, _day(seed));
    }

    function _refuseDay(uint32 day, bytes memory content, bytes memory reason) private {
        vm.prank(publisher);
        vm.expectRevert(reason);
        factors.publishDay(OLD, ZONE, day, content);
    }

    function _assertResolves(bytes32 vintage, uint32 day, Resolution expected) private view {
        (Resolution resolution, address pointer) = factors.resolve(vintage, ZONE, day);
        assertEq(uint256(resolution), uint256(expected));
        assertEq(pointer != address(0), expected == Resolution.Published);
    }

    // --- who

    function test_only_accounts_of_the_publishing_organisation_publish() public {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IFactors.NotPublisher.selector, owner));
        factors.publishDay(OLD, ZONE, DAY, _day(0));
        vm.prank(rival);
        vm.expectRevert(
            abi.encodeWithSelector(IFactors.NotVintageOwner.selector, OLD, bytes32("rival"), bytes32("grid"))
        );
        factors.publishDay(OLD, ZONE, DAY, _day(0));
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IFactors.NotPublisher.selector, owner));
        factors.createVintage(NEW, 0, 0, 1, 0, _electricity(), new CarrierFactor[](0));
        bytes32 role = registry.FACTOR_PUBLISHER();
        vm.prank(administrator);
        registry.dismiss(publisher, role);
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IFactors.NotPublisher.selector, publisher));
        factors.publishDay(OLD, ZONE, DAY, _day(0));
    }

    // --- vintages

    function test_a_vintage_is_written_once() public {
        vm.prank(rival);
        vm.expectRevert(abi.encodeWithSelector(IFactors.VintageExists.selector, OLD));
        factors.createVintage(OLD, 0, 100, 3000, 900, _electricity(), new CarrierFactor[](0));
        Vintage memory vintage = factors.vintage(OLD);
        assertEq(vintage.publisherOrg, "grid");
        assertEq(vintage.createdAt, START);
        assertEq(vintage.fMin, 100);
        assertEq(vintage.fMax, 3000);
        assertEq(vintage.gMax, 900);
        assertEq(factors.staticFactors(OLD).exportTotal, 1800);
    }

    function test_unknown_vintages_are_named() public {
        bytes memory unknown = abi.encodeWithSelector(IFactors.UnknownVintage.selector, NEW);
        vm.expectRevert(unknown);
        factors.vintage(NEW);
        vm.expectRevert(unknown);
        factors.staticFactors(NEW);
        vm.expectRevert(unknown);
        factors.carrierFactors(NEW);
        vm.expectRevert(unknown);
        factors.resolve(NEW, ZONE, DAY);
        vm.expectRevert(unknown);
        factors.deadline(NEW, DAY);
        vm.prank(publisher);
        vm.expectRevert(unknown);
        factors.publishDay(NEW, ZONE, DAY, _day(0));
        vm.prank(publisher);
        vm.expectRevert(unknown);
        factors.createVintage("newest", NEW, 100, 3000, 900, _electricity(), new CarrierFactor[](0));
    }

    function _refuseVintage(uint16 fMin, uint16 fMax, uint16 gMax, StaticFactors memory s, bytes memory reason)
        private
    {
        vm.prank(publisher);
        vm.expectRevert(reason);
        factors.createVintage(NEW, 0, fMin, fMax, gMax, s, new CarrierFactor[](0));
    }

    function test_static_factors_lie_in_the_range() public {
        StaticFactors memory s = _electricity();
        _refuseVintage(2, 1, 0, s, abi.encodeWithSelector(IFactors.FactorRange.selector, 2, 1));
        _refuseVintage(0, 0, 0, s, abi.encodeWithSelector(IFactors.FactorRange.selector, 0, 0));
        bytes4 range = IFactors.FactorOutOfRange.selector;
        _refuseVintage(2001, 3000, 900, s, abi.encodeWithSelector(range, "import total", 2000, 2001, 3000));
        _refuseVintage(1801, 3000, 900, s, abi.encodeWithSelector(range, "export total", 1800, 1801, 3000));
        _refuseVintage(0, 1999, 900, s, abi.encodeWithSelector(range, "import total", 2000, 0, 1999));
        _refuseVintage(0, 3000, 299, s, abi.encodeWithSelector(range, "import GHG", 300, 0, 299));
        s.importNonRenewable = 3001;
        _refuseVintage(0, 3000, 900, s, abi.encodeWithSelector(range, "import non-renewable", 3001, 0, 3000));
        s = _electricity();
        s.exportNonRenewable = 3001;
        _refuseVintage(0, 3000, 900, s, abi.encodeWithSelector(range, "export non-renewable", 3001, 0, 3000));
        s = _electricity();
        s.exportGhg = 901;
        _refuseVintage(0, 3000, 900, s, abi.encodeWithSelector(range, "export GHG", 901, 0, 900));
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IFactors.InvalidSlug.selector, bytes32("Mix")));
        factors.createVintage("Mix", 0, 100, 3000, 900, _electricity(), new CarrierFactor[](0));
    }

    function _refuseCarriers(CarrierFactor memory a, CarrierFactor memory b, bytes memory reason) private {
        CarrierFactor[] memory list = new CarrierFactor[](2);
        (list[0], list[1]) = (a, b);
        vm.prank(publisher);
        vm.expectRevert(reason);
        factors.createVintage(NEW, 0, 100, 3000, 900, _electricity(), list);
    }

    function test_carriers_are_ascending_within_the_range_and_never_earn_more_than_they_cost() public {
        CarrierFactor memory gas = CarrierFactor(1, 1100, 1100, 220, 0, 0, 0);
        CarrierFactor memory heat = CarrierFactor(2, 700, 500, 100, 700, 500, 100);
        CarrierFactor[] memory list = new CarrierFactor[](2);
        (list[0], list[1]) = (gas, heat);
        uint256 snapshot = vm.snapshotState();
        vm.prank(publisher);
        factors.createVintage(NEW, 0, 100, 3000, 900, _electricity(), list);
        CarrierFactor[8] memory stored = factors.carrierFactors(NEW);
        assertEq(stored[0].boughtTotal, 1100);
        assertEq(stored[1].exportNonRenewable, 500);
        for (uint256 i = 2; i < 8; ++i) {
            assertEq(stored[i].carrier, i + 1);
            assertEq(stored[i].boughtTotal, 3000, "an unlisted carrier costs the most");
            assertEq(stored[i].boughtNonRenewable, 3000);
            assertEq(stored[i].boughtGhg, 900);
            assertEq(stored[i].exportTotal, 0);
            assertEq(stored[i].exportNonRenewable, 0);
            assertEq(stored[i].exportGhg, 0);
        }
        vm.revertToState(snapshot);
        _refuseCarriers(heat, gas, abi.encodeWithSelector(IFactors.CarriersNotAscending.selector, 1, 2));
        _refuseCarriers(gas, gas, abi.encodeWithSelector(IFactors.CarriersNotAscending.selector, 1, 1));
        heat.carrier = 9;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(IFactors.UnknownCarrier.selector, 9));
        heat.carrier = 0;
        _refuseCarriers(heat, gas, abi.encodeWithSelector(IFactors.UnknownCarrier.selector, 0));
        heat.carrier = 2;
        bytes4 range = IFactors.FactorOutOfRange.selector;
        heat.exportTotal = 701;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "delivered total", 701, 0, 700));
        heat.exportTotal = 700;
        heat.exportNonRenewable = 501;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "delivered non-renewable", 501, 0, 500));
        heat.exportNonRenewable = 500;
        heat.exportGhg = 101;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "delivered GHG", 101, 0, 100));
        gas.boughtTotal = 3001;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "bought total", 3001, 0, 3000));
        gas.boughtTotal = 3000;
        gas.boughtNonRenewable = 3001;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "bought non-renewable", 3001, 0, 3000));
        gas.boughtNonRenewable = 0;
        gas.boughtGhg = 901;
        _refuseCarriers(gas, heat, abi.encodeWithSelector(range, "bought GHG", 901, 0, 900));
    }

    function test_a_parents_range_lies_inside_the_childs() public {
        StaticFactors memory s = _electricity();
        CarrierFactor[] memory none = new CarrierFactor[](0);
        bytes4 outside = IFactors.ParentOutsideRange.selector;
        vm.startPrank(publisher);
        vm.expectRevert(abi.encodeWithSelector(outside, OLD, 100, 101));
        factors.createVintage(NEW, OLD, 101, 3000, 900, s, none);
        vm.expectRevert(abi.encodeWithSelector(outside, OLD, 3000, 2999));
        factors.createVintage(NEW, OLD, 100, 2999, 900, s, none);
        vm.expectRevert(abi.encodeWithSelector(outside, OLD, 900, 899));
        factors.createVintage(NEW, OLD, 100, 3000, 899, s, none);
        factors.createVintage(NEW, OLD, 99, 3001, 901, s, none);
        vm.stopPrank();
        assertEq(factors.vintage(NEW).depth, 1);
    }

    function test_the_line_of_parents_is_bounded() public {
        bytes32 parent = OLD;
        for (uint8 i = 1; i <= 15; ++i) {
            bytes32 child = bytes32(abi.encodePacked("v", bytes1(96 + i)));
            _create(child, parent);
            parent = child;
        }
        assertEq(factors.vintage(parent).depth, 15);
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IFactors.ParentTooDeep.selector, parent, 15, 15));
        factors.createVintage("too-deep", parent, 100, 3000, 900, _electricity(), new CarrierFactor[](0));
        _publish(OLD, DAY, 1);
        warpTo(START + 60 days);
        _assertResolves(parent, DAY, Resolution.Published);
        _assertResolves(parent, DAY - 1, Resolution.Lacking);
    }

    // --- days

    function test_a_day_is_kept_byte_for_byte() public {
        _publish(OLD, DAY, 5);
        (Resolution resolution, address pointer) = factors.resolve(OLD, ZONE, DAY);
        assertEq(uint256(resolution), uint256(Resolution.Published));
        assertEq(Code.read(pointer), _day(5));
        assertEq(uint8(pointer.code[0]), 0, "nobody can run it");
        assertEq(factors.frontier(OLD, ZONE), DAY + 1);
        assertEq(factors.frontier(OLD, "other"), 0);
        (resolution,) = factors.resolve(OLD, "other", DAY);
        assertEq(uint256(resolution), uint256(Resolution.Pending));
    }

    function test_a_published_or_skipped_day_is_never_written_again() public {
        _publish(OLD, DAY - 2, 1);
        _publish(OLD, DAY, 2);
        bytes4 selector = IFactors.DayNotAscending.selector;
        _refuseDay(DAY, _day(3), abi.encodeWithSelector(selector, DAY, DAY + 1));
        _refuseDay(DAY - 1, _day(3), abi.encodeWithSelector(selector, DAY - 1, DAY + 1));
        _refuseDay(DAY - 2, _day(3), abi.encodeWithSelector(selector, DAY - 2, DAY + 1));
        _refuseDay(0, _day(3), abi.encodeWithSelector(selector, 0, DAY + 1));
        _assertResolves(OLD, DAY - 1, Resolution.Lacking);
        _assertResolves(OLD, DAY - 3, Resolution.Lacking);
    }

    function test_a_day_can_be_published_once_it_is_over() public {
        uint256 end = TODAY * 1 days + 1 days;
        warpTo(end - 1);
        _refuseDay(uint32(TODAY), _day(0), abi.encodeWithSelector(IFactors.DayNotOver.selector, TODAY, end - 1));
        _refuseDay(
            type(uint32).max, _day(0), abi.encodeWithSelector(IFactors.DayNotOver.selector, type(uint32).max, end - 1)
        );
        warpTo(end);
        _publish(OLD, uint32(TODAY), 0);
    }

    function test_a_day_can_be_published_until_30_days_after_its_end() public {
        uint256 last = (TODAY + 1) * 1 days + 30 days;
        assertEq(factors.deadline(OLD, TODAY), last);
        uint256 snapshot = vm.snapshotState();
        warpTo(last);
        _assertResolves(OLD, uint32(TODAY), Resolution.Pending);
        _publish(OLD, uint32(TODAY), 0);
        vm.revertToState(snapshot);
        warpTo(last + 1);
        _assertResolves(OLD, uint32(TODAY), Resolution.Lacking);
        _refuseDay(
            uint32(TODAY), _day(0), abi.encodeWithSelector(IFactors.DeadlinePassed.selector, TODAY, last, last + 1)
        );
    }

    function test_a_new_vintage_has_30_days_for_old_days() public {
        uint256 last = START + 30 days;
        assertEq(factors.deadline(OLD, 15_000), last);
        warpTo(last);
        _assertResolves(OLD, 15_000, Resolution.Pending);
        _publish(OLD, 15_000, 0);
        warpTo(last + 1);
        _refuseDay(15_001, _day(0), abi.encodeWithSelector(IFactors.DeadlinePassed.selector, 15_001, last, last + 1));
        _assertResolves(OLD, 15_000, Resolution.Published);
        _assertResolves(OLD, 15_001, Resolution.Lacking);
    }

    function test_a_child_falls_back_only_when_it_can_no_longer_publish() public {
        _publish(OLD, DAY, 1);
        _create(NEW, OLD);
        _assertResolves(NEW, DAY, Resolution.Pending);
        uint256 snapshot = vm.snapshotState();

        _publish(NEW, DAY, 2);
        (, address pointer) = factors.resolve(NEW, ZONE, DAY);
        assertEq(Code.read(pointer), _day(2));
        (, pointer) = factors.resolve(OLD, ZONE, DAY);
        assertEq(Code.read(pointer), _day(1));

        vm.revertToState(snapshot);
        warpTo((TODAY + 1) * 1 days);
        _publish(NEW, uint32(TODAY), 3);
        (, pointer) = factors.resolve(NEW, ZONE, DAY);
        assertEq(Code.read(pointer), _day(1));
        // The parent may still publish what the child skipped.
        _assertResolves(NEW, DAY - 1, Resolution.Lacking);
        _assertResolves(NEW, uint32(TODAY + 1), Resolution.Pending);

        vm.revertToState(snapshot);
        warpTo(START + 30 days);
        _assertResolves(NEW, DAY, Resolution.Pending);
        warpTo(START + 30 days + 1);
        (, pointer) = factors.resolve(NEW, ZONE, DAY);
        assertEq(Code.read(pointer), _day(1));
    }

    function test_a_skipped_day_waits_for_the_parent() public {
        _create(NEW, OLD);
        _publish(NEW, DAY, 1);
        _assertResolves(NEW, DAY - 1, Resolution.Pending);
        _publish(OLD, DAY - 1, 2);
        _assertResolves(NEW, DAY - 1, Resolution.Published);
        _assertResolves(NEW, DAY - 2, Resolution.Lacking);
    }

    // --- content

    function test_a_day_has_288_bytes() public {
        bytes4 selector = IFactors.FactorsLength.selector;
        _refuseDay(DAY, "", abi.encodeWithSelector(selector, 0, 288));
        _refuseDay(DAY, new bytes(287), abi.encodeWithSelector(selector, 287, 288));
        _refuseDay(DAY, bytes.concat(_day(0), hex"00"), abi.encodeWithSelector(selector, 289, 288));
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(IFactors.InvalidSlug.selector, bytes32("ES")));
        factors.publishDay(OLD, "ES", DAY, _day(0));
    }

    function testFuzz_every_value_of_a_day_is_checked(uint8 place, uint16 value) public {
        place = uint8(bound(place, 0, 143));
        bytes memory content = _day(0);
        content[2 * uint256(place)] = bytes1(uint8(value >> 8));
        content[2 * uint256(place) + 1] = bytes1(uint8(value));
        uint8 column = place % 6;
        uint16 least = column < 2 ? 100 : 0;
        uint16 greatest = column < 4 ? 3000 : 900;
        if (value >= least && value <= greatest) {
            vm.prank(publisher);
            factors.publishDay(OLD, ZONE, DAY, content);
            (, address pointer) = factors.resolve(OLD, ZONE, DAY);
            assertEq(Code.read(pointer), content);
        } else {
            _refuseDay(
                DAY,
                content,
                abi.encodeWithSelector(
                    IFactors.HourFactorOutOfRange.selector, place / 6, column, value, least, greatest
                )
            );
        }
    }
}
