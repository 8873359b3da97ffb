// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Money } from "contracts/libraries/Money.sol";
import { TradeAmounts } from "contracts/libraries/TradeAmounts.sol";
import { Cut } from "contracts/types/Trade.sol";
import { ForgeTest } from "testing/ForgeTest.sol";
import { PlainSettlement } from "testing/PlainSettlement.sol";

/// @notice The money of a seller-hour by itself: whatever is sold, delivered and charged, every token in is a token out.
contract TradeAmountsTest is ForgeTest {
    uint256 private constant TRADES = 110;
    uint256 private constant LANE = type(uint32).max;

    /// @dev What is still held for the order that the next trade is a part of.
    struct Open {
        uint256 fillWh;
        uint256 placeWh;
        uint256 held;
    }

    /// Over 1,000,000 settled trades in a run of 10,000. A hundred and more trades of one seller as the axes of a book cut them
    /// out of orders, with quantities, prices and a delivery of all sizes: what the bids held is paid or refunded, what the
    /// offers held is compensation or given back, order by order, and nothing is left over or lacking.
    function testFuzz_every_token_in_is_a_token_out(uint256 seed) public pure {
        uint256 bondRate = _drawn(seed, 0, LANE / 10) + 1;
        uint256 price = _drawn(seed, 1, 10 * bondRate);
        uint256 rate = TradeAmounts.shortfallRate(price, _drawn(seed, 2, LANE), bondRate);
        uint256 size = _drawn(seed, 3, LANE);
        Cut memory cut = Cut(uint128(_drawn(seed, 4, TRADES * size)), 0);
        uint256 soldWh = 1 + _drawn(seed, 5, TRADES * size);
        uint256 availableWh = _drawn(seed, 6, soldWh > LANE ? LANE : soldWh);
        if (seed % 4 == 0) availableWh = soldWh;
        Open memory bid;
        Open memory offer;
        for (uint256 i = 0; i < TRADES; ++i) {
            uint256 r = _hash(seed, i);
            unchecked {
                if (bid.placeWh == bid.fillWh) _next(bid, 1 + (r & LANE) % (size + 1), price);
                if (offer.placeWh == offer.fillWh) _next(offer, 1 + ((r >> 32) & LANE) % (size + 1), bondRate);
                uint256 quantityWh = bid.fillWh - bid.placeWh;
                if (offer.fillWh - offer.placeWh < quantityWh) quantityWh = offer.fillWh - offer.placeWh;
                uint256 deliveredWh = TradeAmounts.delivered(quantityWh, bytes32(r), availableWh, soldWh, cut);
                if (deliveredWh > quantityWh) deliveredWh = quantityWh;
                TradeAmounts.Amounts memory a =
                    TradeAmounts.settle(bid.placeWh, offer.placeWh, quantityWh, deliveredWh, price, rate, bondRate);
                // Below 2**64 each: a difference that wrapped around would be far above.
                require((a.paid | a.refunded | a.compensation | a.bondReturned) >> 64 == 0, "negative");
                bid.held -= a.paid + a.refunded;
                offer.held -= a.compensation + a.bondReturned;
                (bid.placeWh, offer.placeWh) = (bid.placeWh + quantityWh, offer.placeWh + quantityWh);
                require(bid.placeWh < bid.fillWh || bid.held == 0, "bid");
                require(offer.placeWh < offer.fillWh || offer.held == 0, "offer");
            }
        }
    }

    function _next(Open memory order, uint256 fillWh, uint256 price) private pure {
        (order.fillWh, order.placeWh, order.held) = (fillWh, 0, Money.up(fillWh, price));
    }

    /// @dev In the scratch space: most of the test's time would go into copying.
    function _hash(uint256 seed, uint256 i) private pure returns (uint256 hash) {
        assembly ("memory-safe") {
            mstore(0, seed)
            mstore(32, i)
            hash := keccak256(0, 64)
        }
    }

    /// @dev At most `most`, small and extreme ones as likely as others.
    function _drawn(uint256 seed, uint256 what, uint256 most) private pure returns (uint256 value) {
        value = uint256(keccak256(abi.encode(seed, "drawn", what)));
        uint256 kind = value & 7;
        value >>= 8;
        if (kind == 0) return 0;
        if (kind == 1) return most;
        if (kind < 5) most = most < 5_000 ? most : 5_000;
        return value % (most + 1);
    }

    // --- the single rules --------------------------------------------------------------------------------------------

    function test_the_shortfall_costs_the_imbalance_but_a_tenth_at_least_and_the_bond_at_most() public pure {
        assertEq(TradeAmounts.shortfallRate(100_000, 180_000, 500_000), 80_000, "the difference");
        assertEq(TradeAmounts.shortfallRate(100_000, 110_000, 500_000), 10_000);
        assertEq(TradeAmounts.shortfallRate(100_000, 109_999, 500_000), 10_000, "a tenth");
        assertEq(TradeAmounts.shortfallRate(100_000, 0, 500_000), 10_000, "imbalance is cheap");
        assertEq(TradeAmounts.shortfallRate(100_000, 900_000, 500_000), 500_000, "the bond");
        assertEq(
            TradeAmounts.shortfallRate(5_000_000, 0, 500_000), 500_000, "at ten times the bond rate a tenth is all"
        );
        assertEq(TradeAmounts.shortfallRate(0, 0, 500_000), 0, "for nothing");
        assertEq(TradeAmounts.shortfallRate(9, 0, 500_000), 0, "rounded down");
    }

    function testFuzz_the_shortfall_rate_is_the_clamp(uint32 price, uint32 imbalance, uint32 bondRate) public pure {
        uint256 beta = 1 + uint256(bondRate) % (LANE / 10);
        uint256 p = price % (10 * beta + 1);
        int256 expected = int256(uint256(imbalance)) - int256(p);
        if (expected < int256(p / 10)) expected = int256(p / 10);
        if (expected > int256(beta)) expected = int256(beta);
        assertEq(int256(TradeAmounts.shortfallRate(p, imbalance, beta)), expected);
    }

    /// With the right cut the shares add up to what there is, the largest fractions first, ties to the lowest identity.
    function testFuzz_shares_add_up(uint256 seed) public pure {
        uint256 n = 1 + seed % 12;
        uint256[] memory quantities = new uint256[](n);
        bytes32[] memory ids = new bytes32[](n);
        uint256 soldWh = 0;
        for (uint256 i = 0; i < n; ++i) {
            quantities[i] = 1 + _drawn(seed, 100 + i, seed % 2 == 0 ? 9 : LANE - 1);
            ids[i] = keccak256(abi.encode(seed, "id", i));
            soldWh += quantities[i];
        }
        uint256 availableWh = _drawn(seed, 99, soldWh < LANE ? soldWh : LANE);
        (uint256[] memory expected, Cut memory cut) = PlainSettlement.shares(quantities, ids, availableWh);
        uint256 sum = 0;
        for (uint256 i = 0; i < n; ++i) {
            uint256 share = TradeAmounts.delivered(quantities[i], ids[i], availableWh, soldWh, cut);
            assertEq(share, expected[i]);
            assertLe(share, quantities[i]);
            sum += share;
        }
        assertEq(sum, availableWh);
    }

    /// The parts of the buyer's import are its import, whoever sold, and no trade moves more than it delivered.
    function testFuzz_attributes_are_never_more_than_the_import(uint256 seed) public pure {
        uint256 importWh = _drawn(seed, 0, LANE);
        uint256 n = 1 + seed % 9;
        uint256[] memory quantities = new uint256[](n);
        uint256 boughtWh = 0;
        for (uint256 i = 0; i < n; ++i) {
            quantities[i] = 1 + _drawn(seed, 1 + i, LANE - 1);
            boughtWh += quantities[i];
        }
        uint256 begin = 0;
        uint256 all = 0;
        for (uint256 i = 0; i < n; ++i) {
            uint256 deliveredWh = _drawn(seed, 20 + i, quantities[i]);
            uint256 wide = TradeAmounts.attributes(type(uint256).max, begin, quantities[i], importWh, boughtWh);
            uint256 moved = TradeAmounts.attributes(deliveredWh, begin, quantities[i], importWh, boughtWh);
            assertEq(moved, wide < deliveredWh ? wide : deliveredWh);
            all += wide;
            begin += quantities[i];
        }
        assertEq(all, importWh);
        uint256 one = TradeAmounts.attributes(quantities[0], 0, quantities[0], importWh, quantities[0]);
        assertEq(one, importWh < quantities[0] ? importWh : quantities[0], "one trade: min(D, I)");
    }

    /// A follow-up and its reverse cancel, and it gives what settling with the new delivery would have given.
    function testFuzz_follow_ups_are_differences_of_settlements(
        uint32 quantity,
        uint32 former,
        uint32 now_,
        uint32 price,
        uint32 rate
    ) public pure {
        uint256 q = uint256(quantity) + 1;
        uint256 a = former % (q + 1);
        uint256 b = now_ % (q + 1);
        TradeAmounts.Amounts memory first = TradeAmounts.settle(7, 5, q, a, price, rate, rate);
        TradeAmounts.Amounts memory second = TradeAmounts.settle(7, 5, q, b, price, rate, rate);
        int256 toSeller = TradeAmounts.difference(q, a, b, price, rate);
        assertEq(
            toSeller,
            int256(second.paid) - int256(first.paid) - int256(second.compensation) + int256(first.compensation)
        );
        assertEq(TradeAmounts.difference(q, b, a, price, rate), -toSeller);
        assertEq(first.paid + first.refunded, second.paid + second.refunded);
    }
}
