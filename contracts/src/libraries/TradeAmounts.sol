// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut } from "../types/Trade.sol";
import { Money } from "./Money.sol";
import { ProRata } from "./ProRata.sol";

/// @title What a trade delivers and who gets what of its money (domain.md §6, "Settlement")
/// @dev Quantities and prices are below 2**32, sums of quantities below 2**64: nothing here overflows. Every part of an order's money is
/// at least what can be taken of it: ceil((b + q) p / 1000) - ceil(b p / 1000) >= floor(q p / 1000).
library TradeAmounts {
    /// @notice Money of one trade, micro-euro: `paid` and `refunded` are all that the buyer had held for it, `compensation` and
    /// `bondReturned` all of the seller's bond for it.
    struct Amounts {
        uint256 paid;
        uint256 refunded;
        uint256 compensation;
        uint256 bondReturned;
    }

    /// @notice What a missing kWh costs the seller: clamp(imbalance - price, floor(price / 10), bondRate).
    /// @param price at most ten times the bond rate
    function shortfallRate(uint256 price, uint256 imbalance, uint256 bondRate) internal pure returns (uint256 rate) {
        rate = price / 10;
        if (imbalance > price + rate) rate = imbalance - price;
        if (rate > bondRate) rate = bondRate;
    }

    /// @notice D_k: a trade's share of what the seller delivered of all that it sold.
    /// @param availableWh at most soldWh
    /// @param cut who gets one Wh more
    function delivered(uint256 quantityWh, bytes32 tradeId, uint256 availableWh, uint256 soldWh, Cut memory cut)
        internal
        pure
        returns (uint256 deliveredWh)
    {
        uint256 fraction;
        (deliveredWh, fraction) = ProRata.share(quantityWh, availableWh, soldWh);
        if (ProRata.isChosen(cut, fraction, tradeId)) ++deliveredWh;
    }

    /// @notice A trade's part of what its order holds, whole orders adding up to the unit: [begin, begin + quantity) of the fill.
    function part(uint256 beginWh, uint256 quantityWh, uint256 price) internal pure returns (uint256) {
        return Money.up(beginWh + quantityWh, price) - Money.up(beginWh, price);
    }

    /// @notice What moves with its attributes: at most the trade's part of the buyer's net import, by its place in all that the
    /// buyer bought with attributes.
    /// @param boughtWh all of it; more than 0
    function attributes(uint256 deliveredWh, uint256 beginWh, uint256 quantityWh, uint256 importWh, uint256 boughtWh)
        internal
        pure
        returns (uint256 partWh)
    {
        partWh = importWh * (beginWh + quantityWh) / boughtWh - importWh * beginWh / boughtWh;
        if (partWh > deliveredWh) partWh = deliveredWh;
    }

    /// @param bidBeginWh place in the bid's fill
    /// @param offerBeginWh place in the offer's fill
    function settle(
        uint256 bidBeginWh,
        uint256 offerBeginWh,
        uint256 quantityWh,
        uint256 deliveredWh,
        uint256 price,
        uint256 rate,
        uint256 bondRate
    ) internal pure returns (Amounts memory a) {
        a.paid = Money.down(deliveredWh, price);
        a.refunded = part(bidBeginWh, quantityWh, price) - a.paid;
        a.compensation = Money.down(quantityWh - deliveredWh, rate);
        a.bondReturned = part(offerBeginWh, quantityWh, bondRate) - a.compensation;
    }

    /// @notice What a follow-up gives the seller (negative: takes from it) when the delivery of a settled trade changes.
    function difference(uint256 quantityWh, uint256 formerWh, uint256 deliveredWh, uint256 price, uint256 rate)
        internal
        pure
        returns (int256 toSeller)
    {
        toSeller = int256(Money.down(deliveredWh, price)) - int256(Money.down(formerWh, price));
        toSeller += int256(Money.down(quantityWh - formerWh, rate)) - int256(Money.down(quantityWh - deliveredWh, rate));
    }
}
