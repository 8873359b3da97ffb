// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut, Order, Outcome } from "contracts/types/Trade.sol";
import { ClearingFixture } from "testing/ClearingFixture.sol";
import { Entry } from "testing/PlainClearing.sol";

/// @notice Committed gas figures: whole transactions (intrinsic gas and calldata included), cold storage.
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract MarketGasTest is ClearingFixture {
    function _snapshot(string memory name) private {
        vm.snapshotGasLastCall("Market", name);
    }

    function test_order() public {
        place(HILL, true, 1000, 80_000);
        place(VALLEY, true, 1000, 80_000);
        _snapshot("place_first_of_owner");
        bytes32 orderHash = place(HILL, true, 1000, 81_000);
        _snapshot("place");
        Order memory o = order(HILL, true, 1000, 82_000);
        o.replaces = orderHash;
        orderHash = place(o);
        _snapshot("replace");
        bytes memory signature = _sign(HILL_TRADER, cancellationOf(orderHash));
        market.cancelOrder(orderHash, signature);
        _snapshot("cancel");
        o = order(VALLEY, true, 1000, 80_000);
        o.withAttributes = true;
        place(o);
        o = order(VALLEY, true, 1000, 80_000);
        o.withAttributes = true;
        place(o);
        _snapshot("place_with_attributes");
        register(trade(HARBOUR, HILL, 1000, 70_000));
        register(trade(HARBOUR, HILL, 1000, 71_000));
        _snapshot("register_trade");
        warpTo(CLEARED_BY);
        market.releaseOrder(hashOf(o));
        _snapshot("release");
    }

    function test_ten_orders_in_one_call() public {
        place(HILL, true, 1000, 80_000);
        bytes[] memory calls = new bytes[](10);
        for (uint256 i = 0; i < 10; ++i) {
            Order memory o = order(HILL, true, 1000, 80_000);
            calls[i] = abi.encodeCall(market.placeOrder, (o, _sign(HILL_TRADER, hashOf(o))));
        }
        market.placeMany(calls);
        vm.snapshotValue("Market", "place_many_per_order", vm.snapshotGasLastCall("Market", "place_many_10") / 10);
    }

    /// Bids of two owners and offers of another one's two districts; every price several times.
    function _bookOf(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            uint256 price = 50_000 + (i * 7 % 25) * 1000;
            uint32 quantityWh = uint32(1000 + i);
            if (i % 2 == 0) {
                bids.push(Entry(place(i % 4 == 0 ? HILL : VALLEY, true, quantityWh, uint32(price)), price, quantityWh));
            } else {
                bytes32 id = place(i % 4 == 1 ? HARBOUR : QUAY, false, quantityWh, uint32(price));
                offers.push(Entry(id, price, quantityWh));
            }
        }
        warpTo(CLOSES_AT);
    }

    function test_clear_100_in_two_transactions() public {
        _bookOf(100);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.proposeOutcome(PLAIN, outcome, b, o);
        vm.snapshotValue("Market", "verify_100_per_order", vm.snapshotGasLastCall("Market", "verify_100") / 100);
        market.applyOutcome(PLAIN, b, o);
        vm.snapshotValue("Market", "apply_100_per_order", vm.snapshotGasLastCall("Market", "apply_100") / 100);
    }

    function test_clear_100_at_once() public {
        _bookOf(100);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.clear(PLAIN, outcome, b, o);
        vm.snapshotValue("Market", "clear_100_per_order", vm.snapshotGasLastCall("Market", "clear_100") / 100);
    }

    function test_clear_two() public {
        _bookOf(2);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.clear(PLAIN, outcome, b, o);
        _snapshot("clear_2");
    }

    /// 10,000 orders in one hour, in 50 steps. Bid i asks 1 Wh at 10,000 - i, offer i gives 1 Wh at 2 i: they cross until i = 3,333, where
    /// b = 6,667 and s = 6,666; the next bid is at 6,666, so that 3,334 Wh clear at 6,666.
    function test_10000_orders_in_one_hour() public {
        uint256 half = 5000;
        bytes32[] memory b = new bytes32[](half);
        bytes32[] memory o = new bytes32[](half);
        (uint256 bidMoney, uint256 offerMoney) = (0, 0);
        for (uint256 i = 0; i < half; ++i) {
            (b[i], o[i]) = (keccak256(abi.encode("bid", i)), keccak256(abi.encode("offer", i)));
            bidMoney += writeOrder(b[i], true, 10_000 - i, 1);
            offerMoney += writeOrder(o[i], false, 2 * i, 1);
        }
        writeBook(half, bidMoney, half, offerMoney);
        warpTo(CLOSES_AT);
        Cut memory nobody = Cut(type(uint128).max, 0);
        Outcome memory outcome = Outcome(3334, 6666, 1, 1, 0, 1, nobody, nobody);
        uint256 verified = 0;
        for (uint256 i = 0; i < half; i += 100) {
            market.proposeOutcome(PLAIN, outcome, _part(b, i, i + 100), _part(o, i, i + 100));
            verified += vm.snapshotGasLastCall("Market", "verify_last_step");
        }
        vm.snapshotValue("Market", "verify_10000_per_order", verified / (2 * half));
        uint256 applied = 0;
        for (uint256 i = 0; i < half; i += 100) {
            market.applyOutcome(PLAIN, _part(b, i, i + 100), _part(o, i, i + 100));
            applied += vm.snapshotGasLastCall("Market", "apply_last_step");
        }
        vm.snapshotValue("Market", "apply_10000_per_order", applied / (2 * half));
        assertTrue(market.fillsComplete(HOUR));
        assertEq(market.soldWh(HARBOUR, HOUR), 3334);
        assertEq(uint256(market.orderState(b[3333]).fillWh), 1);
        assertEq(uint256(market.orderState(b[3334]).fillWh), 0);
        assertEq(uint256(market.orderState(o[3333]).startWh), 3333);
        assertEq(heldOf(HILL_OWNERS), 3334 * up(1, 6666));
        assertEq(heldOf(HARBOUR_OWNERS), 3334 * up(1, BOND));
    }
}
