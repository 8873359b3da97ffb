// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IEscrow } from "contracts/interfaces/IEscrow.sol";
import { IMarket } from "contracts/interfaces/IMarket.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { BilateralTrade, BookStatus, Order, OrderState, OrderStatus } from "contracts/types/Trade.sol";
import { MarketFixture } from "testing/MarketFixture.sol";

/// @notice Keys, orders, cancellations, bilateral trades: everything until gate closure.
contract MarketOrdersTest is MarketFixture {
    uint256 private constant OTHER_KEY = 0xBAD;

    function _refused(Order memory o, bytes memory signature, bytes memory reason) private {
        vm.expectRevert(reason);
        market.placeOrder(o, signature);
    }

    function _refused(Order memory o, bytes memory reason) private {
        _refused(o, _sign(keyOf(o.districtId), hashOf(o)), reason);
    }

    function _wrongSigner(uint256 key, bytes32 districtId) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IMarket.WrongSigner.selector, key == 0 ? address(0) : vm.addr(key), districtId);
    }

    // --- deployment and keys -----------------------------------------------------------------------------------------

    function test_escrow_and_claims_must_name_the_market() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotNamed.selector, address(escrow), address(market)));
        this.deployAnother(address(escrow));
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        address other = deploy("Escrow", abi.encode(token, registry, next, settlementAddress, flexibilityAddress));
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotNamed.selector, address(claims), address(market)));
        this.deployAnother(other);
    }

    function deployAnother(address escrow_) external returns (address) {
        return deploy("Market", abi.encode(registry, rules, escrow_, claims));
    }

    function test_keys_are_set_by_accounts_of_the_owner() public {
        address key = vm.addr(OTHER_KEY);
        vm.expectEmit(address(market));
        emit IMarket.TradingKeySet(HILL, key, true);
        vm.prank(hillOwner);
        market.setTradingKey(HILL, key, true);
        assertTrue(market.isTradingKey(HILL, key));
        assertFalse(market.isTradingKey(HARBOUR, key));
        Order memory o = order(HILL, true, 1000, 10);
        market.placeOrder(o, _sign(OTHER_KEY, hashOf(o)));

        vm.prank(hillOwner);
        market.setTradingKey(HILL, key, false);
        assertFalse(market.isTradingKey(HILL, key));
        o = order(HILL, true, 1000, 10);
        _refused(o, _sign(OTHER_KEY, hashOf(o)), _wrongSigner(OTHER_KEY, HILL));
    }

    function test_refuses_keys() public {
        address key = vm.addr(OTHER_KEY);
        address[3] memory others = [stranger, hillOwner, operator];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(IMarket.NotDistrictOwner.selector, others[i], HARBOUR));
            market.setTradingKey(HARBOUR, key, true);
        }
        // An account of the owner without the role, one that was dismissed.
        vm.startPrank(administrator);
        registry.enrol(stranger, HARBOUR_OWNERS, registry.FACTOR_PUBLISHER());
        registry.dismiss(harbourOwner, registry.DISTRICT_OWNER());
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectPartialRevert(IMarket.NotDistrictOwner.selector);
        market.setTradingKey(HARBOUR, key, true);
        vm.prank(harbourOwner);
        vm.expectPartialRevert(IMarket.NotDistrictOwner.selector);
        market.setTradingKey(HARBOUR, key, true);
        vm.startPrank(hillOwner);
        vm.expectPartialRevert(IRegistry.UnknownDistrict.selector);
        market.setTradingKey("nowhere", key, true);
        // What is no signature recovers to zero.
        vm.expectRevert(_wrongSigner(0, HILL));
        market.setTradingKey(HILL, address(0), true);
        vm.stopPrank();
    }

    // --- placing -----------------------------------------------------------------------------------------------------

    function test_an_order_holds_money_and_is_recorded_whole() public {
        Order memory bid = order(HILL, true, 1001, 333);
        bytes memory signature = _sign(HILL_TRADER, hashOf(bid));
        assertEq(market.hashOrder(bid), hashOf(bid));
        vm.expectEmit(address(market));
        emit IMarket.OrderRecorded(hashOf(bid), PLAIN, HILL, bid, signature);
        vm.prank(stranger);
        market.placeOrder(bid, signature);
        // 333.333 rounded up.
        assertEq(heldOf(HILL_OWNERS), 334);
        assertEq(escrow.free(HILL_OWNERS), WEALTH - 334);
        bytes32 offer = place(HARBOUR, false, 1001, 5);
        // At the bond rate, whatever the price.
        assertEq(heldOf(HARBOUR_OWNERS), 500_500);
        assertBook(PLAIN, BookStatus.Open, 1, 1);
        assertBook(WITH_ATTRIBUTES, BookStatus.Open, 0, 0);
        assertStatus(offer, OrderStatus.Live);
        OrderState memory state = market.orderState(offer);
        assertEq(uint256(state.fillWh) + state.startWh + state.boughtBeforeWh, 0);
    }

    function test_an_order_with_attributes_opens_the_day() public {
        Order memory o = order(HILL, true, 1000, 10);
        o.withAttributes = true;
        bytes32 orderHash = place(o);
        assertBook(WITH_ATTRIBUTES, BookStatus.Open, 1, 0);
        (uint256 openWh,) = claims.dayAttributes(HILL, HOUR / 24);
        assertEq(openWh, 1000);
        vm.prank(hillOwner);
        market.cancelOrder(orderHash, "");
        (openWh,) = claims.dayAttributes(HILL, HOUR / 24);
        assertEq(openWh, 0);
    }

    function test_a_zero_price_and_the_greatest_one() public {
        place(HILL, true, type(uint32).max, 0);
        assertEq(heldOf(HILL_OWNERS), 0);
        place(HILL, true, 1, 10 * BOND);
        assertEq(heldOf(HILL_OWNERS), 5000);
        Order memory o = order(HILL, true, 1, 10 * BOND + 1);
        _refused(o, abi.encodeWithSelector(IMarket.PriceAboveLimit.selector, 10 * BOND + 1, uint256(10 * BOND)));
        o = order(HARBOUR, false, 1, type(uint32).max);
        _refused(o, abi.encodeWithSelector(IMarket.PriceAboveLimit.selector, type(uint32).max, uint256(10 * BOND)));
    }

    function test_extremes_hold_what_they_cost() public {
        fund(hillOwner, HILL_OWNERS, 30_000_000e6);
        place(HILL, true, type(uint32).max, 10 * BOND);
        assertEq(heldOf(HILL_OWNERS), up(type(uint32).max, 10 * BOND));
        fund(harbourOwner, HARBOUR_OWNERS, 30_000_000e6);
        place(HARBOUR, false, type(uint32).max, 0);
        assertEq(heldOf(HARBOUR_OWNERS), up(type(uint32).max, BOND));
    }

    function test_refuses_a_replayed_order() public {
        Order memory o = order(HILL, true, 1000, 10);
        bytes32 orderHash = place(o);
        _refused(o, abi.encodeWithSelector(IMarket.OrderKnown.selector, orderHash));
        vm.prank(hillOwner);
        market.cancelOrder(orderHash, "");
        // Nor after its cancellation; and the upper half of the curve is no second signature.
        _refused(o, abi.encodeWithSelector(IMarket.OrderKnown.selector, orderHash));
        o.nonce += 100;
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HILL_TRADER, hashOf(o));
        uint256 curve = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes memory twin = abi.encodePacked(r, bytes32(curve - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _refused(o, twin, _wrongSigner(0, HILL));
    }

    function test_refuses_forged_orders() public {
        Order memory o = order(HILL, true, 1000, 10);
        bytes32 structHash = structHashOf(o);
        // Another key; another district's; the owner's own, which is no trading key; cut, empty and long ones.
        _refused(o, _sign(OTHER_KEY, hashOf(o)), _wrongSigner(OTHER_KEY, HILL));
        _refused(o, _sign(HARBOUR_TRADER, hashOf(o)), _wrongSigner(HARBOUR_TRADER, HILL));
        _refused(o, _sign(HILL_OWNER_KEY, hashOf(o)), _wrongSigner(HILL_OWNER_KEY, HILL));
        _refused(o, "", _wrongSigner(0, HILL));
        _refused(o, new bytes(64), _wrongSigner(0, HILL));
        _refused(o, new bytes(65), _wrongSigner(0, HILL));
        _refused(o, bytes.concat(_sign(HILL_TRADER, hashOf(o)), hex"00"), _wrongSigner(0, HILL));
        // Another chain, contract, name; an untyped hash.
        bytes32[4] memory digests = [
            _digest("PED Market", block.chainid + 1, address(market), structHash),
            _digest("PED Market", block.chainid, address(escrow), structHash),
            _digest("PED Escrow", block.chainid, address(market), structHash),
            structHash
        ];
        for (uint256 i = 0; i < 4; ++i) {
            vm.expectPartialRevert(IMarket.WrongSigner.selector);
            market.placeOrder(o, _sign(HILL_TRADER, digests[i]));
        }
        // Every field is signed.
        bytes memory signature = _sign(HILL_TRADER, hashOf(o));
        for (uint256 field = 0; field < 9; ++field) {
            Order memory changed = abi.decode(abi.encode(o), (Order));
            if (field == 0) changed.districtId = HARBOUR;
            if (field == 1) ++changed.hour;
            if (field == 2) changed.withAttributes = true;
            if (field == 3) changed.isBid = false;
            if (field == 4) ++changed.quantityWh;
            if (field == 5) ++changed.priceMicroEurPerKwh;
            if (field == 6) ++changed.nonce;
            if (field == 7) --changed.expiry;
            if (field == 8) changed.replaces = bytes32(uint256(1));
            vm.expectPartialRevert(IMarket.WrongSigner.selector);
            market.placeOrder(changed, signature);
        }
        market.placeOrder(o, signature);
    }

    function test_another_chain_has_other_orders() public {
        Order memory o = order(HILL, true, 1000, 10);
        bytes memory signature = _sign(HILL_TRADER, hashOf(o));
        vm.chainId(4242);
        vm.expectPartialRevert(IMarket.WrongSigner.selector);
        market.placeOrder(o, signature);
    }

    function test_refuses_orders() public {
        Order memory o = order(HILL, true, 0, 10);
        _refused(o, abi.encodeWithSelector(IMarket.QuantityZero.selector));
        o = order(HILL, true, 1000, 10);
        o.expiry = START - 1;
        _refused(o, abi.encodeWithSelector(IMarket.OrderExpired.selector, START - 1));
        o.expiry = START;
        place(o);
        uint32 latest = uint32(START / 1 hours + 9600);
        o = order(HILL, true, 1000, 10);
        o.hour = latest + 1;
        _refused(o, abi.encodeWithSelector(IMarket.HourTooFar.selector, latest + 1, latest));
        o.hour = type(uint32).max;
        _refused(o, abi.encodeWithSelector(IMarket.HourTooFar.selector, type(uint32).max, latest));
        o.hour = latest;
        place(o);
        o.hour = 0;
        _refused(o, abi.encodeWithSelector(IMarket.GateClosed.selector, 0, 0));
    }

    function test_no_money_no_order() public {
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH - 9, hillOwner);
        Order memory o = order(HILL, true, 1000, 10);
        _refused(o, abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HILL_OWNERS, 9, 10));
        place(HILL, true, 1000, 9);
        vm.prank(marketAddress);
        escrow.owe(HILL_OWNERS, HARBOUR_OWNERS, 1);
        o = order(HILL, true, 1000, 0);
        _refused(o, abi.encodeWithSelector(IEscrow.DebtOutstanding.selector, HILL_OWNERS, 1));
        assertBook(PLAIN, BookStatus.Open, 1, 0);
    }

    // --- gate closure ------------------------------------------------------------------------------------------------

    /// Who waits for the others' orders cannot still answer them: the gate closes for placing and for cancelling at once.
    function test_the_gate_closes_to_the_second() public {
        bytes32 early = place(HILL, true, 1000, 10);
        bytes32 kept = place(HILL, true, 1000, 11);
        Order memory late = order(HARBOUR, false, 1000, 10);
        BilateralTrade memory lateTrade = trade(HARBOUR, HILL, 1000, 10);
        bytes memory closed = abi.encodeWithSelector(IMarket.GateClosed.selector, HOUR, CLOSES_AT);

        warpTo(CLOSES_AT - 1);
        place(HARBOUR, false, 1000, 10);
        vm.prank(hillOwner);
        market.cancelOrder(early, "");
        register(trade(HARBOUR, HILL, 1000, 10));
        assertBook(PLAIN, BookStatus.Open, 1, 1);
        for (uint256 i = 0; i < 2; ++i) {
            warpTo(CLOSES_AT + i);
            _refused(late, closed);
            vm.prank(hillOwner);
            vm.expectRevert(closed);
            market.cancelOrder(kept, "");
            bytes memory cancellation = _sign(HILL_TRADER, cancellationOf(kept));
            vm.expectRevert(closed);
            market.cancelOrder(kept, cancellation);
            Order memory replacement = order(HILL, true, 1000, 12);
            replacement.replaces = kept;
            _refused(replacement, closed);
            (bytes memory seller, bytes memory buyer) =
                (_sign(HARBOUR_TRADER, hashOf(lateTrade)), _sign(HILL_TRADER, hashOf(lateTrade)));
            vm.expectRevert(closed);
            market.registerTrade(lateTrade, seller, buyer);
            assertBook(PLAIN, BookStatus.Frozen, 1, 1);
        }
    }

    // --- cancelling and replacing ------------------------------------------------------------------------------------

    function test_cancels_by_signature_key_or_owner() public {
        bytes32[3] memory orders =
            [place(HILL, true, 1000, 10), place(HILL, true, 1000, 11), place(HILL, true, 1000, 12)];
        assertEq(market.hashCancellation(orders[0]), cancellationOf(orders[0]));
        vm.expectEmit(address(market));
        emit IMarket.OrderCancelled(orders[0], PLAIN, vm.addr(HILL_TRADER));
        vm.prank(stranger);
        market.cancelOrder(orders[0], _sign(HILL_TRADER, cancellationOf(orders[0])));
        vm.expectEmit(address(market));
        emit IMarket.OrderCancelled(orders[1], PLAIN, vm.addr(HILL_TRADER));
        vm.prank(vm.addr(HILL_TRADER));
        market.cancelOrder(orders[1], "");
        vm.expectEmit(address(market));
        emit IMarket.OrderCancelled(orders[2], PLAIN, hillOwner);
        vm.prank(hillOwner);
        market.cancelOrder(orders[2], "");
        for (uint256 i = 0; i < 3; ++i) {
            assertStatus(orders[i], OrderStatus.Cancelled);
        }
        assertEq(heldOf(HILL_OWNERS), 0);
        assertEq(escrow.free(HILL_OWNERS), WEALTH);
        assertBook(PLAIN, BookStatus.Open, 0, 0);
    }

    function test_refuses_cancellations() public {
        bytes32 live = place(HILL, true, 1000, 10);
        bytes32 other = place(HILL, true, 1000, 11);
        bytes memory ofOther = _sign(HILL_TRADER, cancellationOf(other));
        // Replayed for another order; another district's key; the order's own signature; a foreign contract's.
        vm.expectPartialRevert(IMarket.WrongSigner.selector);
        market.cancelOrder(live, ofOther);
        bytes memory signature = _sign(HARBOUR_TRADER, cancellationOf(live));
        vm.expectRevert(_wrongSigner(HARBOUR_TRADER, HILL));
        market.cancelOrder(live, signature);
        signature = _sign(HILL_TRADER, live);
        vm.expectPartialRevert(IMarket.WrongSigner.selector);
        market.cancelOrder(live, signature);
        bytes32 structHash = keccak256(abi.encode(keccak256("Cancellation(bytes32 orderHash)"), live));
        signature = _sign(HILL_TRADER, _digest("PED Market", block.chainid, address(escrow), structHash));
        vm.expectPartialRevert(IMarket.WrongSigner.selector);
        market.cancelOrder(live, signature);
        address[3] memory others = [stranger, harbourOwner, vm.addr(HARBOUR_TRADER)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(others[i]);
            vm.expectRevert(abi.encodeWithSelector(IMarket.NotDistrictOwner.selector, others[i], HILL));
            market.cancelOrder(live, "");
        }
        // Once only; never recorded.
        market.cancelOrder(other, ofOther);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OrderNotLive.selector, other));
        market.cancelOrder(other, ofOther);
        vm.prank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OrderNotLive.selector, bytes32(uint256(7))));
        market.cancelOrder(bytes32(uint256(7)), "");
        assertEq(heldOf(HILL_OWNERS), 10);
    }

    function test_replaces_an_order_in_one_step() public {
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH - 12, hillOwner);
        bytes32 former = place(HILL, true, 1000, 10);
        Order memory o = order(HILL, true, 1000, 12);
        o.replaces = former;
        vm.expectEmit(address(market));
        emit IMarket.OrderCancelled(former, PLAIN, vm.addr(HILL_TRADER));
        // Its money is enough only with what the former one held.
        bytes32 latter = place(o);
        assertStatus(former, OrderStatus.Cancelled);
        assertStatus(latter, OrderStatus.Live);
        assertEq(heldOf(HILL_OWNERS), 12);
        assertBook(PLAIN, BookStatus.Open, 1, 0);
        // To the other side.
        vm.prank(marketAddress);
        escrow.unhold(HILL_OWNERS, 0);
        fund(hillOwner, HILL_OWNERS, 1e6);
        o = order(HILL, false, 1000, 12);
        o.replaces = latter;
        place(o);
        assertBook(PLAIN, BookStatus.Open, 0, 1);
        assertEq(heldOf(HILL_OWNERS), BOND);
    }

    function test_replaces_only_its_own() public {
        Order memory o = order(HILL, true, 1000, 12);
        o.replaces = place(HARBOUR, true, 1000, 10);
        _refused(o, abi.encodeWithSelector(IMarket.ReplacesOther.selector, hashOf(o), o.replaces));
        // Another book of the district: another hour, with attributes; another district of the owner.
        Order memory other = order(HILL, true, 1000, 10);
        other.hour = HOUR + 1;
        o.replaces = place(other);
        _refused(o, abi.encodeWithSelector(IMarket.ReplacesOther.selector, hashOf(o), o.replaces));
        other = order(HILL, true, 1000, 10);
        other.withAttributes = true;
        o.replaces = place(other);
        _refused(o, abi.encodeWithSelector(IMarket.ReplacesOther.selector, hashOf(o), o.replaces));
        o.districtId = QUAY;
        o.replaces = place(HARBOUR, true, 1000, 10);
        _refused(o, abi.encodeWithSelector(IMarket.ReplacesOther.selector, hashOf(o), o.replaces));
        // Cancelled, unknown, itself.
        bytes32 cancelled = place(HILL, true, 1000, 10);
        vm.prank(hillOwner);
        market.cancelOrder(cancelled, "");
        o.districtId = HILL;
        o.replaces = cancelled;
        _refused(o, abi.encodeWithSelector(IMarket.OrderNotLive.selector, cancelled));
        o.replaces = bytes32(uint256(9));
        _refused(o, abi.encodeWithSelector(IMarket.OrderNotLive.selector, bytes32(uint256(9))));
        assertBook(PLAIN, BookStatus.Open, 2, 0);
    }

    // --- self-trade --------------------------------------------------------------------------------------------------

    function test_an_owner_is_on_one_side_of_a_book() public {
        bytes memory refusal = abi.encodeWithSelector(IMarket.OwnOrdersOpposite.selector, HARBOUR_OWNERS, PLAIN);
        bytes32 first = place(HARBOUR, false, 1000, 10);
        place(QUAY, false, 1000, 11);
        // Through the same key, a second key of the district, another district of the owner.
        Order memory o = order(HARBOUR, true, 1000, 10);
        _refused(o, refusal);
        allow(harbourOwner, HARBOUR, OTHER_KEY);
        _refused(o, _sign(OTHER_KEY, hashOf(o)), refusal);
        Order memory ofQuay = order(QUAY, true, 1000, 10);
        _refused(ofQuay, refusal);
        // Replacing one of two does not free the side.
        ofQuay.districtId = HARBOUR;
        ofQuay.replaces = first;
        _refused(ofQuay, refusal);
        // Another book is another matter, and so is another owner.
        o = order(HARBOUR, true, 1000, 10);
        o.withAttributes = true;
        place(o);
        o = order(QUAY, true, 1000, 10);
        o.hour = HOUR + 1;
        place(o);
        place(HILL, true, 1000, 10);
        refusal = abi.encodeWithSelector(IMarket.OwnOrdersOpposite.selector, HILL_OWNERS, PLAIN);
        _refused(order(HILL, false, 1000, 10), refusal);
    }

    function test_a_side_is_free_again_after_cancelling() public {
        bytes32 offer = place(HARBOUR, false, 1000, 10);
        vm.prank(harbourOwner);
        market.cancelOrder(offer, "");
        place(QUAY, true, 1000, 10);
        assertBook(PLAIN, BookStatus.Open, 1, 0);
    }

    // --- bilateral trades --------------------------------------------------------------------------------------------

    function test_a_trade_holds_the_money_of_both() public {
        BilateralTrade memory t = trade(HARBOUR, HILL, 1001, 333);
        t.withAttributes = true;
        bytes32 tradeHash = hashOf(t);
        assertEq(market.hashTrade(t), tradeHash);
        (bytes memory seller, bytes memory buyer) = (_sign(HARBOUR_TRADER, tradeHash), _sign(HILL_TRADER, tradeHash));
        vm.expectEmit(address(market));
        emit IMarket.TradeRegistered(tradeHash, HARBOUR, HILL, t, seller, buyer);
        vm.prank(stranger);
        market.registerTrade(t, seller, buyer);
        assertEq(heldOf(HARBOUR_OWNERS), 500_500);
        assertEq(heldOf(HILL_OWNERS), 334);
        assertEq(market.soldWh(HARBOUR, HOUR), 1001);
        assertEq(market.boughtWithAttributesWh(HILL, HOUR), 1001);
        (uint256 openWh,) = claims.dayAttributes(HARBOUR, HOUR / 24);
        assertEq(openWh, 1001);
        (openWh,) = claims.dayAttributes(HILL, HOUR / 24);
        assertEq(openWh, 1001);
        (bool registered, uint64 beforeWh) = market.tradeState(tradeHash);
        assertTrue(registered);
        assertEq(uint256(beforeWh), 0);

        t.nonce += 100;
        (registered, beforeWh) = market.tradeState(register(t));
        assertTrue(registered);
        assertEq(uint256(beforeWh), 1001);
        (registered,) = market.tradeState(bytes32(uint256(1)));
        assertFalse(registered);
        // Without attributes nothing is counted as bought with them.
        register(trade(VALLEY, HILL, 5, 10));
        assertEq(market.boughtWithAttributesWh(HILL, HOUR), 2002);
        assertEq(market.soldWh(VALLEY, HOUR), 5);
        assertEq(market.soldWh(VALLEY, HOUR + 1), 0);
        assertEq(market.soldWh("nowhere", HOUR), 0);
    }

    function test_refuses_trades() public {
        BilateralTrade memory t = trade(HARBOUR, HILL, 1000, 10);
        bytes32 tradeHash = register(t);
        (bytes memory seller, bytes memory buyer) = (_sign(HARBOUR_TRADER, tradeHash), _sign(HILL_TRADER, tradeHash));
        vm.expectRevert(abi.encodeWithSelector(IMarket.OrderKnown.selector, tradeHash));
        market.registerTrade(t, seller, buyer);
        t = trade(HARBOUR, HILL, 1000, 10);
        (seller, buyer) = (_sign(HARBOUR_TRADER, hashOf(t)), _sign(HILL_TRADER, hashOf(t)));
        // One signs for both; the two are exchanged; one changed the price.
        vm.expectRevert(_wrongSigner(HARBOUR_TRADER, HILL));
        market.registerTrade(t, seller, seller);
        vm.expectRevert(_wrongSigner(HILL_TRADER, HARBOUR));
        market.registerTrade(t, buyer, seller);
        ++t.priceMicroEurPerKwh;
        vm.expectPartialRevert(IMarket.WrongSigner.selector);
        market.registerTrade(t, seller, buyer);

        _refusedTrade(
            trade(HARBOUR, QUAY, 1000, 10), abi.encodeWithSelector(IMarket.SameOwner.selector, HARBOUR_OWNERS)
        );
        _refusedTrade(
            trade(HARBOUR, HARBOUR, 1000, 10), abi.encodeWithSelector(IMarket.SameOwner.selector, HARBOUR_OWNERS)
        );
        _refusedTrade(trade(HARBOUR, HILL, 0, 10), abi.encodeWithSelector(IMarket.QuantityZero.selector));
        t = trade(HARBOUR, HILL, 1000, 10 * BOND + 1);
        _refusedTrade(t, abi.encodeWithSelector(IMarket.PriceAboveLimit.selector, 10 * BOND + 1, uint256(10 * BOND)));
        t = trade(HARBOUR, HILL, 1000, 10);
        t.expiry = START - 1;
        _refusedTrade(t, abi.encodeWithSelector(IMarket.OrderExpired.selector, START - 1));
        uint256 all = escrow.free(HILL_OWNERS);
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, all, hillOwner);
        t = trade(HARBOUR, HILL, 1000, 10);
        _refusedTrade(t, abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HILL_OWNERS, 0, 10));
        assertEq(market.soldWh(HARBOUR, HOUR), 1000);
    }

    function _refusedTrade(BilateralTrade memory t, bytes memory reason) private {
        bytes memory seller = _sign(keyOf(t.sellerDistrictId), hashOf(t));
        bytes memory buyer = _sign(keyOf(t.buyerDistrictId), hashOf(t));
        vm.expectRevert(reason);
        market.registerTrade(t, seller, buyer);
    }

    // --- several at once ---------------------------------------------------------------------------------------------

    function test_a_failing_call_is_skipped() public {
        Order memory good = order(HILL, true, 1000, 10);
        Order memory bad = order(HILL, true, 0, 10);
        BilateralTrade memory t = trade(HARBOUR, VALLEY, 1000, 10);
        bytes32 cancelled = place(HILL, true, 500, 20);
        bytes[] memory calls = new bytes[](7);
        calls[0] = abi.encodeCall(market.placeOrder, (good, _sign(HILL_TRADER, hashOf(good))));
        calls[1] = abi.encodeCall(market.placeOrder, (bad, _sign(HILL_TRADER, hashOf(bad))));
        calls[2] = abi.encodeCall(market.setTradingKey, (HILL, stranger, true));
        calls[3] = abi.encodeCall(
            market.registerTrade, (t, _sign(HARBOUR_TRADER, hashOf(t)), _sign(VALLEY_TRADER, hashOf(t)))
        );
        calls[4] = abi.encodeCall(market.cancelOrder, (cancelled, _sign(HILL_TRADER, cancellationOf(cancelled))));
        calls[5] = calls[0];
        // The market is the caller of what it carries: nobody's account.
        calls[6] = abi.encodeCall(market.cancelOrder, (hashOf(good), ""));
        vm.expectEmit(address(market));
        emit IMarket.CallSkipped(1, abi.encodeWithSelector(IMarket.QuantityZero.selector));
        vm.expectEmit(address(market));
        emit IMarket.CallSkipped(2, abi.encodeWithSelector(IMarket.UnknownCall.selector, market.setTradingKey.selector));
        vm.expectEmit(address(market));
        emit IMarket.CallSkipped(5, abi.encodeWithSelector(IMarket.OrderKnown.selector, hashOf(good)));
        vm.expectEmit(address(market));
        emit IMarket.CallSkipped(6, abi.encodeWithSelector(IMarket.NotDistrictOwner.selector, address(market), HILL));
        vm.prank(hillOwner);
        market.placeMany(calls);
        assertStatus(hashOf(good), OrderStatus.Live);
        assertStatus(hashOf(bad), OrderStatus.None);
        assertStatus(cancelled, OrderStatus.Cancelled);
        assertFalse(market.isTradingKey(HILL, stranger));
        assertEq(market.soldWh(HARBOUR, HOUR), 1000);
        assertEq(heldOf(HILL_OWNERS), 10);
    }
}
