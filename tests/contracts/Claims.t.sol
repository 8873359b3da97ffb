// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { HourClaims, IClaims } from "contracts/interfaces/IClaims.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice The claims register by itself: its writers are accounts of the test.
contract ClaimsTest is LedgerFixture {
    uint32 private constant HOUR = DAY * 24 + 11;
    address private immutable market = _account("market");
    address private immutable settlement = _account("settlement");
    address private immutable flexibility = _account("flexibility");

    function setUp() public override {
        super.setUp();
        publish(DAY, changes(change(PLANT, points(point("GRID", Kind.GRID, 100_000)))));
    }

    /// @dev HARBOUR exports so much net in the hour, with 300 Wh of import beside it.
    function _export(uint256 energyWh) private {
        vm.warp(_closeOf(DAY, 23));
        record(PLANT_KEY, batch(PLANT, DAY, 1, 0, abi.encodePacked(uint8(11), measured(300, energyWh + 300))));
    }

    function _delivery(uint32 energyWh) private {
        vm.prank(settlement);
        claims.bookDelivery(HARBOUR, HOUR, energyWh);
    }

    function _open(bytes32 districtId, uint256 energyWh) private {
        vm.prank(market);
        claims.openAttributes(districtId, HOUR, energyWh);
    }

    function _close(bytes32 districtId, uint256 energyWh) private {
        vm.prank(settlement);
        claims.closeAttributes(districtId, HOUR, energyWh);
    }

    function _move(int64 energyWh) private {
        vm.prank(settlement);
        claims.moveAttributes(HARBOUR, HILL, HOUR, energyWh);
    }

    // --- who writes --------------------------------------------------------------------------------------------------

    function test_names_its_writers() public view {
        assertEq(claims.market(), market);
        assertEq(claims.settlement(), settlement);
        assertEq(claims.flexibility(), flexibility);
    }

    function _refuses(address caller, bytes memory data) private {
        vm.prank(caller);
        (bool done, bytes memory reason) = address(claims).call(data);
        assertFalse(done);
        assertEq(reason, abi.encodeWithSelector(IClaims.NotWriter.selector, caller));
    }

    function test_each_writer_writes_its_own_only() public {
        _open(HARBOUR, 10);
        address[5] memory callers = [market, settlement, flexibility, owner, address(this)];
        for (uint256 i = 0; i < callers.length; ++i) {
            address caller = callers[i];
            if (caller != market) _refuses(caller, abi.encodeCall(IClaims.openAttributes, (HARBOUR, HOUR, 1)));
            if (caller != settlement) {
                _refuses(caller, abi.encodeCall(IClaims.bookDelivery, (HARBOUR, HOUR, 0)));
                _refuses(caller, abi.encodeCall(IClaims.moveAttributes, (HARBOUR, HILL, HOUR, 1)));
            }
            if (caller != market && caller != settlement) {
                _refuses(caller, abi.encodeCall(IClaims.closeAttributes, (HARBOUR, HOUR, 1)));
            }
            if (caller != flexibility) _refuses(caller, abi.encodeCall(IClaims.bookResponse, (HARBOUR, HOUR, 1)));
        }
        vm.prank(market);
        claims.closeAttributes(HARBOUR, HOUR, 10);
        (uint256 openWh,) = claims.dayAttributes(HARBOUR, DAY);
        assertEq(openWh, 0);
    }

    // --- external certificates ---------------------------------------------------------------------------------------

    function test_an_owner_declares_before_gate_closure() public {
        uint256 closedAt = uint256(HOUR) * 1 hours - 1 hours;
        vm.warp(closedAt - 1);
        vm.startPrank(owner);
        claims.declareExternal(HARBOUR, HOUR, 700, "first");
        vm.expectEmit(address(claims));
        emit IClaims.ExternalDeclared(HARBOUR, HOUR, 500, "second");
        claims.declareExternal(HARBOUR, HOUR, 500, "second");
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).externalWh), 500, "replaced");
        vm.warp(closedAt);
        vm.expectRevert(abi.encodeWithSelector(IClaims.GateClosed.selector, HOUR, closedAt));
        claims.declareExternal(HARBOUR, HOUR, 0, "third");
        vm.stopPrank();
    }

    function test_only_a_district_owners_account_of_its_owner_declares() public {
        address[3] memory others = [stranger, operator, administrator];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(IClaims.NotOwner.selector, others[i], HARBOUR));
            claims.declareExternal(HARBOUR, HOUR, 1, 0);
        }
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotOwner.selector, owner, HILL));
        claims.declareExternal(HILL, HOUR, 1, 0);
        bytes32 role = registry.METER_OPERATOR();
        vm.prank(administrator);
        registry.enrol(stranger, "harbour-owners", role);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IClaims.NotOwner.selector, stranger, HARBOUR));
        claims.declareExternal(HARBOUR, HOUR, 1, 0);
    }

    // --- deliveries --------------------------------------------------------------------------------------------------

    /// External certificates and deliveries are never more than the metered net export; certificates beyond it count as all of it.
    function test_no_more_than_the_metered_net_export() public {
        vm.prank(owner);
        claims.declareExternal(HARBOUR, HOUR, 400, 0);
        vm.prank(settlement);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ExceedsExport.selector, HARBOUR, HOUR, 1, 0));
        claims.bookDelivery(HARBOUR, HOUR, 1);
        _export(1_000);
        vm.prank(settlement);
        vm.expectRevert(abi.encodeWithSelector(IClaims.ExceedsExport.selector, HARBOUR, HOUR, 1_001, 1_000));
        claims.bookDelivery(HARBOUR, HOUR, 601);
        vm.expectEmit(address(claims));
        emit IClaims.DeliveryBooked(HARBOUR, HOUR, 600);
        _delivery(600);
        _delivery(200);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 200, "replaced");
    }

    /// forge-config: default.fuzz.runs = 128
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_no_more_than_the_metered_net_export(uint32 externalWh, uint32 exportWh, uint32 deliveredWh)
        public
    {
        exportWh %= 100_000;
        vm.prank(owner);
        claims.declareExternal(HARBOUR, HOUR, externalWh, 0);
        _export(exportWh);
        uint256 certificatesWh = externalWh < exportWh ? externalWh : exportWh;
        bool fits = certificatesWh + deliveredWh <= exportWh;
        vm.prank(settlement);
        if (!fits) vm.expectPartialRevert(IClaims.ExceedsExport.selector);
        claims.bookDelivery(HARBOUR, HOUR, deliveredWh);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), fits ? deliveredWh : 0);
    }

    // --- attributes --------------------------------------------------------------------------------------------------

    function test_what_is_open_keeps_the_day_open() public {
        _open(HARBOUR, 700);
        vm.prank(market);
        claims.openAttributes(HARBOUR, HOUR + 1, 300);
        (uint256 openWh, uint24 hourBits) = claims.dayAttributes(HARBOUR, DAY);
        assertEq(openWh, 1_000);
        assertEq(uint256(hourBits), 0);
        (openWh,) = claims.dayAttributes(HARBOUR, DAY + 1);
        assertEq(openWh, 0);
        _close(HARBOUR, 1_000);
        (openWh,) = claims.dayAttributes(HARBOUR, DAY);
        assertEq(openWh, 0);
        vm.prank(settlement);
        vm.expectRevert();
        claims.closeAttributes(HARBOUR, HOUR, 1);
    }

    function test_a_move_lowers_one_export_and_the_others_import() public {
        _open(HARBOUR, 700);
        _open(HILL, 700);
        vm.expectEmit(address(claims));
        emit IClaims.AttributesBooked(HARBOUR, HOUR, 600, 0);
        vm.expectEmit(address(claims));
        emit IClaims.AttributesBooked(HILL, HOUR, 0, 600);
        _move(600);
        _move(50);
        _move(-25);
        HourClaims memory seller = claims.hourClaims(HARBOUR, HOUR);
        HourClaims memory buyer = claims.hourClaims(HILL, HOUR);
        assertEq(uint256(seller.attributesOutWh), 625);
        assertEq(uint256(buyer.attributesInWh), 625);
        assertEq(uint256(seller.attributesInWh) + buyer.attributesOutWh, 0);
        (, uint24 hourBits) = claims.dayAttributes(HARBOUR, DAY);
        assertEq(uint256(hourBits), 1 << 11);
        assertEq(claims.changeCount(HARBOUR) + claims.changeCount(HILL), 0, "nobody has finalised the day");
        vm.prank(settlement);
        vm.expectRevert();
        claims.moveAttributes(HARBOUR, HILL, HOUR, -626);
    }

    function test_a_move_of_a_closed_day_is_a_change() public {
        _open(HARBOUR, 700);
        _open(HILL, 1_000);
        _move(700);
        _close(HARBOUR, 700);
        _close(HILL, 700);
        _move(-100);
        assertEq(claims.changeCount(HARBOUR), 1);
        assertEq(uint256(claims.changeDay(HARBOUR, 0)), DAY);
        assertEq(claims.changeCount(HILL), 0, "still open there");
    }

    /// forge-config: default.fuzz.runs = 128
    /// forge-config: ci.fuzz.runs = 1000
    function testFuzz_words_hold_the_lanes_in_order(uint32 externalWh, uint32 movedWh, uint32 responseWh) public {
        vm.prank(owner);
        claims.declareExternal(HARBOUR, HOUR, externalWh, 0);
        vm.prank(settlement);
        claims.moveAttributes(HARBOUR, HILL, HOUR, int64(uint64(movedWh)));
        vm.prank(flexibility);
        claims.bookResponse(HARBOUR, HOUR, responseWh);
        uint256 word = claims.hourWords(HARBOUR, DAY)[11];
        assertEq(word, externalWh | (uint256(movedWh) << 64) | (uint256(responseWh) << 128));
        assertEq(claims.hourWords(HILL, DAY)[11], uint256(movedWh) << 96);
        assertEq(claims.hourWords(HARBOUR, DAY)[10], 0);
    }

    /// A lane never reaches its neighbour.
    function test_lanes_are_checked() public {
        _move(int64(uint64(type(uint32).max)));
        vm.prank(settlement);
        vm.expectRevert();
        claims.moveAttributes(HARBOUR, HILL, HOUR, 1);
    }
}
