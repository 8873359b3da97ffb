// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut, Outcome } from "contracts/types/Trade.sol";

/// @notice An order as clearing sees it.
struct Entry {
    bytes32 id;
    uint256 price;
    uint256 quantityWh;
}

/// @notice The clearing of domain.md §6, written from its text without regard to cost: sorting by selection, curves by search, shares by
/// picking the largest fraction again and again.
library PlainClearing {
    /// @notice Sorts in place: bids by price falling, offers by price rising, both then by identity rising.
    function sort(Entry[] memory side, bool isBid) internal pure {
        for (uint256 i = 0; i < side.length; ++i) {
            uint256 best = i;
            for (uint256 j = i + 1; j < side.length; ++j) {
                if (_precedes(side[j], side[best], isBid)) best = j;
            }
            (side[i], side[best]) = (side[best], side[i]);
        }
    }

    function _precedes(Entry memory a, Entry memory b, bool isBid) private pure returns (bool) {
        if (a.price != b.price) return isBid ? a.price > b.price : a.price < b.price;
        return a.id < b.id;
    }

    /// @return exists whether the side has a q-th Wh
    /// @return priceThere price of the q-th Wh of the sorted side, q from 1
    function curve(Entry[] memory side, uint256 q) internal pure returns (bool exists, uint256 priceThere) {
        uint256 sum = 0;
        for (uint256 i = 0; i < side.length; ++i) {
            sum += side[i].quantityWh;
            if (q <= sum) return (true, side[i].price);
        }
    }

    function _crosses(Entry[] memory bids, Entry[] memory offers, uint256 q) private pure returns (bool) {
        (bool hasBid, uint256 bid) = curve(bids, q);
        (bool hasOffer, uint256 offer) = curve(offers, q);
        return hasBid && hasOffer && bid >= offer;
    }

    /// @notice The largest q with b(q) >= s(q): the curves change only where an order ends, so that it is one of these ends.
    function volume(Entry[] memory bids, Entry[] memory offers) internal pure returns (uint256 largest) {
        for (uint256 side = 0; side < 2; ++side) {
            Entry[] memory entries = side == 0 ? bids : offers;
            uint256 sum = 0;
            for (uint256 i = 0; i < entries.length; ++i) {
                sum += entries[i].quantityWh;
                if (sum > largest && _crosses(bids, offers, sum)) largest = sum;
            }
        }
    }

    function price(Entry[] memory bids, Entry[] memory offers, uint256 q) internal pure returns (uint256) {
        if (q == 0) return 0;
        (, uint256 low) = curve(offers, q);
        (, uint256 high) = curve(bids, q);
        (bool hasBid, uint256 nextBid) = curve(bids, q + 1);
        (bool hasOffer, uint256 nextOffer) = curve(offers, q + 1);
        if (hasBid && nextBid > low) low = nextBid;
        if (hasOffer && nextOffer < high) high = nextOffer;
        return (low + high) / 2;
    }

    /// @notice Fills of a sorted side.
    function fill(Entry[] memory side, bool isBid, uint256 q, uint256 p)
        internal
        pure
        returns (uint256[] memory fills, uint256 marginWh, uint256 restWh, Cut memory cut)
    {
        fills = new uint256[](side.length);
        cut.fraction = type(uint128).max;
        if (q == 0) return (fills, 0, 0, cut);
        restWh = q;
        for (uint256 i = 0; i < side.length; ++i) {
            if (side[i].price == p) {
                marginWh += side[i].quantityWh;
            } else if (isBid ? side[i].price > p : side[i].price < p) {
                fills[i] = side[i].quantityWh;
                restWh -= fills[i];
            }
        }
        uint256 left = restWh;
        uint256[] memory fractions = new uint256[](side.length);
        for (uint256 i = 0; i < side.length; ++i) {
            if (side[i].price != p) continue;
            fills[i] = side[i].quantityWh * restWh / marginWh;
            // One more, so that 0 is left for those that take no part.
            fractions[i] = side[i].quantityWh * restWh % marginWh + 1;
            left -= fills[i];
        }
        for (; left > 0; --left) {
            uint256 best = 0;
            for (uint256 i = 1; i < side.length; ++i) {
                // In the order of identities, so that the first of equals is the lowest.
                if (fractions[i] > fractions[best]) best = i;
            }
            ++fills[best];
            cut = Cut(uint128(fractions[best] - 1), side[best].id);
            fractions[best] = 0;
        }
    }

    /// @notice Outcome and fills of two sorted sides.
    function clear(Entry[] memory bids, Entry[] memory offers)
        internal
        pure
        returns (Outcome memory outcome, uint256[] memory bidFills, uint256[] memory offerFills)
    {
        uint256 q = volume(bids, offers);
        uint256 p = price(bids, offers, q);
        outcome.volumeWh = uint64(q);
        outcome.priceMicroEurPerKwh = uint32(p);
        uint256 marginWh;
        uint256 restWh;
        (bidFills, marginWh, restWh, outcome.bidCut) = fill(bids, true, q, p);
        (outcome.bidMarginWh, outcome.bidRestWh) = (uint64(marginWh), uint64(restWh));
        (offerFills, marginWh, restWh, outcome.offerCut) = fill(offers, false, q, p);
        (outcome.offerMarginWh, outcome.offerRestWh) = (uint64(marginWh), uint64(restWh));
    }
}
