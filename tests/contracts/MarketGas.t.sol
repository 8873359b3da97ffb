// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Order, Outcome } from "contracts/types/Trade.sol";
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

    /// A step in the middle of a large book: 200 orders, and the session kept.
    function test_a_step_of_200() public {
        _bookOf(420);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.proposeOutcome(PLAIN, outcome, _part(b, 0, 100), _part(o, 0, 100));
        market.proposeOutcome(PLAIN, outcome, _part(b, 100, 200), _part(o, 100, 200));
        vm.snapshotValue(
            "Market", "verify_step_200_per_order", vm.snapshotGasLastCall("Market", "verify_step_200") / 200
        );
    }
}
