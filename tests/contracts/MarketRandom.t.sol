// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Cut, Outcome } from "contracts/types/Trade.sol";
import { ClearingFixture } from "testing/ClearingFixture.sol";
import { Entry, PlainClearing } from "testing/PlainClearing.sol";

/// @notice Random books: the contract accepts what PlainClearing finds, in any steps, and refuses everything else; and the shared vectors,
/// which Python made.
contract MarketRandomTest is ClearingFixture {
    uint256 private random_;

    function _random(uint256 below) private returns (uint256) {
        uint256 random = random_;
        assembly ("memory-safe") {
            mstore(0, random)
            random := keccak256(0, 32)
        }
        random_ = random;
        return random % below;
    }

    /// @dev Few prices and quantities make ties; the greatest ones make sums long.
    function _randomBook(uint256 most) private {
        bool extreme = _random(4) == 0;
        uint256 prices = [uint256(1), 2, 4, 10 * BOND + 1][_random(4)];
        for (uint256 side = 0; side < 2; ++side) {
            uint256 count = _random(most + 1);
            for (uint256 i = 0; i < count; ++i) {
                uint256 quantityWh = extreme ? type(uint32).max - _random(3) : 1 + _random(6);
                if (side == 0) _bid(_random(prices), quantityWh);
                else _offer(_random(prices), quantityWh);
            }
        }
        warpTo(CLOSES_AT);
    }

    function test_random_books(uint256 seed) public {
        random_ = seed;
        _randomBook(4);
        (Entry[] memory bidEntries, Entry[] memory offerEntries) = _sorted();
        (Outcome memory outcome, uint256[] memory bidFills, uint256[] memory offerFills) =
            PlainClearing.clear(bidEntries, offerEntries);
        (bytes32[] memory b, bytes32[] memory o) = (_ids(bidEntries), _ids(offerEntries));
        for (uint256 i = 0; i < 2; ++i) {
            Outcome memory other = _mutated(outcome);
            (bool accepted,) = address(market).call(abi.encodeCall(market.clear, (PLAIN, other, b, o)));
            assertFalse(accepted);
        }
        if (b.length + o.length > 1) {
            (bytes32[] memory otherBids, bytes32[] memory otherOffers) = _mutated(b, o);
            (bool accepted,) =
                address(market).call(abi.encodeCall(market.clear, (PLAIN, outcome, otherBids, otherOffers)));
            assertFalse(accepted);
        }
        if (_random(2) == 0) market.clear(PLAIN, outcome, b, o);
        else _inSteps(outcome, b, o);
        _assertApplied(bidEntries, offerEntries, outcome, bidFills, offerFills);
    }

    function _inSteps(Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) private {
        uint256[2][9] memory ends;
        uint256 steps = 0;
        (uint256 bidsShown, uint256 offersShown) = (0, 0);
        bool stands = false;
        while (!stands) {
            uint256 moreBids = _random(b.length - bidsShown + 1);
            uint256 moreOffers = _random(o.length - offersShown + 1);
            if (moreBids + moreOffers == 0) {
                if (bidsShown < b.length) moreBids = 1;
                else if (offersShown < o.length) moreOffers = 1;
            }
            stands = market.proposeOutcome(
                PLAIN,
                outcome,
                _part(b, bidsShown, bidsShown + moreBids),
                _part(o, offersShown, offersShown + moreOffers)
            );
            (bidsShown, offersShown) = (bidsShown + moreBids, offersShown + moreOffers);
            ends[steps++] = [bidsShown, offersShown];
        }
        (bidsShown, offersShown) = (0, 0);
        for (uint256 i = 0; i < steps; ++i) {
            market.applyOutcome(PLAIN, _part(b, bidsShown, ends[i][0]), _part(o, offersShown, ends[i][1]));
            (bidsShown, offersShown) = (ends[i][0], ends[i][1]);
        }
    }

    /// @dev One field becomes another value, mostly its neighbour.
    function _mutated(Outcome memory outcome) private returns (Outcome memory other) {
        other = abi.decode(abi.encode(outcome), (Outcome));
        uint256 field = _random(10);
        uint64 by = _random(2) == 0 ? 1 : type(uint64).max;
        if (_random(4) == 0) by = uint64(1 + _random(1000));
        unchecked {
            if (field == 0) other.volumeWh += by;
            if (field == 1) other.priceMicroEurPerKwh += uint32(by);
            if (field == 2) other.bidMarginWh += by;
            if (field == 3) other.offerMarginWh += by;
            if (field == 4) other.bidRestWh += by;
            if (field == 5) other.offerRestWh += by;
            if (field == 6) other.bidCut.fraction += by;
            if (field == 7) other.offerCut.fraction += by;
            if (field == 8) other.bidCut.id = bytes32(uint256(other.bidCut.id) + by);
            if (field == 9) other.offerCut.id = bytes32(uint256(other.offerCut.id) + by);
        }
    }

    /// @dev An order is dropped, doubled, or moved to another place or to the other side.
    function _mutated(bytes32[] memory b, bytes32[] memory o)
        private
        returns (bytes32[] memory otherBids, bytes32[] memory otherOffers)
    {
        uint256 total = b.length + o.length;
        uint256 from = _random(total);
        uint256 kind = _random(3);
        bytes32 moved = from < b.length ? b[from] : o[from - b.length];
        bytes32[] memory all = new bytes32[](total + 1);
        uint256 cutAt = b.length;
        uint256 count = 0;
        for (uint256 i = 0; i < total; ++i) {
            if (i == from && kind != 1) continue;
            all[count++] = i < b.length ? b[i] : o[i - b.length];
        }
        if (kind != 1 && from < b.length) --cutAt;
        if (kind != 0) {
            uint256 to = _random(count + 1);
            bool intoBids = to < cutAt || (to == cutAt && _random(2) == 0);
            for (uint256 i = count; i > to; --i) {
                all[i] = all[i - 1];
            }
            all[to] = moved;
            ++count;
            if (intoBids) ++cutAt;
        }
        otherBids = _part(all, 0, cutAt);
        otherOffers = _part(all, cutAt, count);
        // Moved to where it was.
        if (keccak256(abi.encode(otherBids, otherOffers)) == keccak256(abi.encode(b, o))) {
            otherBids = new bytes32[](0);
            otherOffers = new bytes32[](0);
        }
    }

    // --- shared vectors ----------------------------------------------------------------------------------------------

    string private json_;

    function _uints(string memory name) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json_, string.concat(".", name));
    }

    struct Vectors {
        uint256[] bidCount;
        uint256[] offerCount;
        uint256[] volumeWh;
        uint256[] price;
        uint256[] bidMarginWh;
        uint256[] offerMarginWh;
        uint256[] bidRestWh;
        uint256[] offerRestWh;
        uint256[] bidCutFraction;
        uint256[] offerCutFraction;
        bytes32[] bidCutId;
        bytes32[] offerCutId;
        bytes32[] ids;
        uint256[] prices;
        uint256[] quantities;
        uint256[] fills;
    }

    function _vectors() private returns (Vectors memory v) {
        json_ = vm.readFile(string.concat(vm.projectRoot(), "/../tests/vectors/clearing.json"));
        v.bidCount = _uints("bidCount");
        v.offerCount = _uints("offerCount");
        v.volumeWh = _uints("volumeWh");
        v.price = _uints("priceMicroEurPerKwh");
        v.bidMarginWh = _uints("bidMarginWh");
        v.offerMarginWh = _uints("offerMarginWh");
        v.bidRestWh = _uints("bidRestWh");
        v.offerRestWh = _uints("offerRestWh");
        v.bidCutFraction = _uints("bidCutFraction");
        v.offerCutFraction = _uints("offerCutFraction");
        v.bidCutId = vm.parseJsonBytes32Array(json_, ".bidCutId");
        v.offerCutId = vm.parseJsonBytes32Array(json_, ".offerCutId");
        v.ids = vm.parseJsonBytes32Array(json_, ".orderHash");
        v.prices = _uints("orderPriceMicroEurPerKwh");
        v.quantities = _uints("orderQuantityWh");
        v.fills = _uints("orderFillWh");
    }

    function test_the_shared_vectors_are_accepted() public {
        fund(hillOwner, HILL_OWNERS, 1e24);
        fund(harbourOwner, HARBOUR_OWNERS, 1e24);
        Vectors memory v = _vectors();
        uint256 first = 0;
        warpTo(CLOSES_AT);
        for (uint256 book = 0; book < v.bidCount.length; ++book) {
            uint256 snapshot = vm.snapshotState();
            (bytes32[] memory b, uint256 bidMoney) = _write(v, first, v.bidCount[book], true);
            (bytes32[] memory o, uint256 offerMoney) = _write(v, first + b.length, v.offerCount[book], false);
            writeBook(b.length, bidMoney, o.length, offerMoney);
            market.clear(PLAIN, _outcome(v, book), b, o);
            for (uint256 i = 0; i < b.length + o.length; ++i) {
                assertEq(uint256(market.orderState(v.ids[first + i]).fillWh), v.fills[first + i], "fill");
            }
            // And PlainClearing says the same, on which the random books rely.
            (Entry[] memory bidEntries, Entry[] memory offerEntries) =
                (_entries(v, first, b.length), _entries(v, first + b.length, o.length));
            PlainClearing.sort(bidEntries, true);
            PlainClearing.sort(offerEntries, false);
            (Outcome memory plain,,) = PlainClearing.clear(bidEntries, offerEntries);
            assertEq(abi.encode(plain), abi.encode(_outcome(v, book)));
            first += b.length + o.length;
            vm.revertToState(snapshot);
        }
        assertEq(first, v.ids.length, "all orders");
    }

    function _outcome(Vectors memory v, uint256 book) private pure returns (Outcome memory) {
        return Outcome({
            volumeWh: uint64(v.volumeWh[book]),
            priceMicroEurPerKwh: uint32(v.price[book]),
            bidMarginWh: uint64(v.bidMarginWh[book]),
            offerMarginWh: uint64(v.offerMarginWh[book]),
            bidRestWh: uint64(v.bidRestWh[book]),
            offerRestWh: uint64(v.offerRestWh[book]),
            bidCut: Cut(uint128(v.bidCutFraction[book]), v.bidCutId[book]),
            offerCut: Cut(uint128(v.offerCutFraction[book]), v.offerCutId[book])
        });
    }

    function _entries(Vectors memory v, uint256 first, uint256 count) private pure returns (Entry[] memory entries) {
        entries = new Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            entries[i] = Entry(v.ids[first + i], v.prices[first + i], v.quantities[first + i]);
        }
    }

    function _write(Vectors memory v, uint256 first, uint256 count, bool isBid)
        private
        returns (bytes32[] memory ids, uint256 money)
    {
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            ids[i] = v.ids[first + i];
            money += writeOrder(ids[i], isBid, v.prices[first + i], v.quantities[first + i]);
        }
    }
}
