// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Book, BookStatus, OrderState, OrderStatus, Outcome } from "contracts/types/Trade.sol";
import { MarketFixture } from "testing/MarketFixture.sol";
import { Entry, PlainClearing } from "testing/PlainClearing.sol";

/// @notice Books of HILL's bids and HARBOUR's offers, cleared as PlainClearing says; everything else is refused.
abstract contract ClearingFixture is MarketFixture {
    Entry[] internal bids;
    Entry[] internal offers;

    function setUp() public virtual override {
        super.setUp();
        fund(hillOwner, HILL_OWNERS, 1e18);
        fund(harbourOwner, HARBOUR_OWNERS, 1e18);
    }

    function _bid(uint256 price, uint256 quantityWh) internal {
        bids.push(Entry(place(HILL, true, uint32(quantityWh), uint32(price)), price, quantityWh));
    }

    function _offer(uint256 price, uint256 quantityWh) internal {
        offers.push(Entry(place(HARBOUR, false, uint32(quantityWh), uint32(price)), price, quantityWh));
    }

    /// @dev The book of domain.md §6.
    function _documentedBook() internal {
        uint8[2][6] memory b = [[3, 2], [9, 2], [1, 2], [9, 2], [7, 3], [10, 3]];
        uint8[2][4] memory o = [[5, 1], [7, 2], [9, 2], [7, 1]];
        for (uint256 i = 0; i < 6; ++i) {
            _bid(b[i][0], b[i][1]);
        }
        for (uint256 i = 0; i < 4; ++i) {
            _offer(o[i][0], o[i][1]);
        }
    }

    function _sorted() internal view returns (Entry[] memory b, Entry[] memory o) {
        (b, o) = (bids, offers);
        PlainClearing.sort(b, true);
        PlainClearing.sort(o, false);
    }

    function _right() internal view returns (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) {
        (Entry[] memory bidEntries, Entry[] memory offerEntries) = _sorted();
        (outcome,,) = PlainClearing.clear(bidEntries, offerEntries);
        return (outcome, _ids(bidEntries), _ids(offerEntries));
    }

    function _ids(Entry[] memory entries) internal pure returns (bytes32[] memory ids) {
        ids = new bytes32[](entries.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = entries[i].id;
        }
    }

    function _part(bytes32[] memory ids, uint256 from, uint256 to) internal pure returns (bytes32[] memory part) {
        if (to > ids.length) to = ids.length;
        part = new bytes32[](to > from ? to - from : 0);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = ids[from + i];
        }
    }

    /// @dev Slots of Market's variables orders_ and records_ (contracts/abi/Market.json).
    uint256 private constant ORDERS_SLOT = 6;
    uint256 private constant RECORDS_SLOT = 9;

    /// @notice Writes a live order of the plain book where the market keeps it: for orders whose hashes are given, or too many to be placed
    /// one by one. writeBook counts them and holds their money.
    /// @return needed what it holds
    function writeOrder(bytes32 id, bool isBid, uint256 price, uint256 quantityWh) internal returns (uint256 needed) {
        // Trading keys were set for HARBOUR, QUAY, HILL, VALLEY: numbers 1 to 4.
        uint256 number = isBid ? 3 : 1;
        uint256 word = 1 | (uint256(PLAIN) << 8) | ((isBid ? uint256(1) : 0) << 41) | (number << 64)
            | (quantityWh << 96) | (price << 128);
        vm.store(address(market), keccak256(abi.encode(id, ORDERS_SLOT)), bytes32(word));
        return up(quantityWh, isBid ? price : BOND);
    }

    function writeBook(uint256 bidCount, uint256 bidMoney, uint256 offerCount, uint256 offerMoney) internal {
        bytes32 counts = bytes32(bidCount | (offerCount << 32));
        vm.store(address(market), keccak256(abi.encode(uint256(PLAIN), RECORDS_SLOT)), counts);
        vm.startPrank(address(market));
        escrow.hold(HILL_OWNERS, bidMoney);
        escrow.hold(HARBOUR_OWNERS, offerMoney);
        vm.stopPrank();
        assertEq(uint256(market.book(PLAIN).bids), bidCount);
        assertEq(uint256(market.book(PLAIN).offers), offerCount);
    }

    /// @notice Fills, places on the axis and money are what PlainClearing says.
    function _assertApplied() internal view {
        (Entry[] memory b, Entry[] memory o) = _sorted();
        (Outcome memory outcome, uint256[] memory bidFills, uint256[] memory offerFills) = PlainClearing.clear(b, o);
        _assertApplied(b, o, outcome, bidFills, offerFills);
    }

    function _assertApplied(
        Entry[] memory b,
        Entry[] memory o,
        Outcome memory outcome,
        uint256[] memory bidFills,
        uint256[] memory offerFills
    ) internal view {
        assertEq(_assertSide(b, bidFills), outcome.volumeWh, "bids fill the volume");
        assertEq(_assertSide(o, offerFills), outcome.volumeWh, "offers fill the volume");
        assertEq(market.soldWh(HARBOUR, HOUR), outcome.volumeWh, "sold");
        uint256 held = 0;
        for (uint256 i = 0; i < b.length; ++i) {
            held += up(bidFills[i], outcome.priceMicroEurPerKwh);
        }
        assertEq(heldOf(HILL_OWNERS), held, "bids hold what their fills cost");
        held = 0;
        for (uint256 i = 0; i < o.length; ++i) {
            held += up(offerFills[i], BOND);
        }
        assertEq(heldOf(HARBOUR_OWNERS), held, "offers hold the bond of their fills");
        Book memory book = market.book(PLAIN);
        assertEq(uint256(book.status), uint256(BookStatus.Cleared), "cleared");
        assertEq(uint256(book.steps), book.applied, "applied whole");
        assertEq(keccak256(abi.encode(book.outcome)), keccak256(abi.encode(outcome)));
        assertEq(uint256(market.priceMicroEurPerKwh(PLAIN)), outcome.priceMicroEurPerKwh);
        assertTrue(market.fillsComplete(HOUR));
    }

    function _assertSide(Entry[] memory entries, uint256[] memory fills) private view returns (uint256 sum) {
        for (uint256 i = 0; i < entries.length; ++i) {
            OrderState memory state = market.orderState(entries[i].id);
            assertEq(uint256(state.status), uint256(OrderStatus.Applied), "applied");
            assertEq(uint256(state.fillWh), fills[i], "fill");
            assertEq(uint256(state.startWh), sum, "start");
            assertEq(uint256(state.boughtBeforeWh), 0, "bought before");
            sum += fills[i];
        }
    }
}
