// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IMarket } from "contracts/interfaces/IMarket.sol";
import { BookStatus, Cut, Order, OrderState, Outcome } from "contracts/types/Trade.sol";
import { ClearingFixture } from "testing/ClearingFixture.sol";

/// @notice Outcomes proposed, refused and applied, one by one.
contract MarketClearingTest is ClearingFixture {
    bytes32[] private none;

    function _refuses(Outcome memory outcome, bytes32[] memory b, bytes32[] memory o, bytes memory reason) private {
        vm.expectRevert(reason);
        market.clear(PLAIN, outcome, b, o);
    }

    function _swapped(bytes32[] memory ids, uint256 i, uint256 j) private pure returns (bytes32[] memory result) {
        result = _part(ids, 0, ids.length);
        (result[i], result[j]) = (result[j], result[i]);
    }

    function _without(bytes32[] memory ids, uint256 i) private pure returns (bytes32[] memory result) {
        result = _part(ids, 0, ids.length - 1);
        for (uint256 j = i; j < result.length; ++j) {
            result[j] = ids[j + 1];
        }
    }

    function _with(bytes32[] memory ids, bytes32 added, uint256 place_) private pure returns (bytes32[] memory result) {
        result = new bytes32[](ids.length + 1);
        for (uint256 i = 0; i < result.length; ++i) {
            result[i] = i == place_ ? added : ids[i < place_ ? i : i - 1];
        }
    }

    // --- the right outcome -------------------------------------------------------------------------------------------

    function test_the_documented_book_clears_6_at_9() public {
        _documentedBook();
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        assertEq(uint256(outcome.volumeWh), 6);
        assertEq(uint256(outcome.priceMicroEurPerKwh), 9);
        assertEq(uint256(outcome.bidMarginWh), 4);
        assertEq(uint256(outcome.bidRestWh), 3);
        warpTo(CLOSES_AT);
        vm.expectEmit(address(market));
        emit IMarket.ClearingStep(PLAIN, stranger, 0, 6, 4);
        vm.expectEmit(address(market));
        emit IMarket.BookCleared(PLAIN, stranger, outcome);
        vm.prank(stranger);
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
    }

    function test_empty_and_one_sided_books_clear_nothing() public {
        Outcome memory nothing;
        nothing.bidCut.fraction = nothing.offerCut.fraction = type(uint128).max;
        warpTo(CLOSES_AT);
        assertTrue(market.proposeOutcome(WITH_ATTRIBUTES, nothing, none, none));
        assertFalse(market.fillsComplete(HOUR));
        market.applyOutcome(WITH_ATTRIBUTES, none, none);
        assertTrue(market.fillsComplete(HOUR));
        warpTo(START);
        _bid(0, 5);
        _bid(7, 5);
        warpTo(CLOSES_AT);
        assertFalse(market.fillsComplete(HOUR));
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        assertEq(abi.encode(outcome), abi.encode(nothing));
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
        assertEq(heldOf(HILL_OWNERS), 0);
    }

    function test_offers_alone_clear_nothing() public {
        _offer(0, 5);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
        assertEq(heldOf(HARBOUR_OWNERS), 0);
    }

    function test_curves_that_do_not_meet() public {
        _offer(8, 5);
        _bid(7, 5);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        assertEq(uint256(outcome.volumeWh), 0);
        _refuses(_withVolume(outcome, 1), b, o, abi.encodeWithSelector(IMarket.VolumeTooLarge.selector, 1));
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
        assertEq(heldOf(HILL_OWNERS) + heldOf(HARBOUR_OWNERS), 0);
    }

    function _withVolume(Outcome memory outcome, uint64 volumeWh) private pure returns (Outcome memory changed) {
        changed = abi.decode(abi.encode(outcome), (Outcome));
        changed.volumeWh = volumeWh;
    }

    function test_a_zero_price_clears() public {
        _bid(0, 7);
        _bid(0, 6);
        _offer(0, 5);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        assertEq(uint256(outcome.volumeWh), 5);
        assertEq(uint256(outcome.priceMicroEurPerKwh), 0);
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
    }

    function test_extreme_quantities_and_prices() public {
        for (uint256 i = 0; i < 3; ++i) {
            _bid(10 * BOND, type(uint32).max);
            _offer(i == 2 ? 10 * BOND : 0, type(uint32).max - i);
        }
        _bid(10 * BOND, 1);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.clear(PLAIN, outcome, b, o);
        _assertApplied();
    }

    // --- mutations ---------------------------------------------------------------------------------------------------

    function test_refuses_another_price_or_volume() public {
        _documentedBook();
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        // Neither the proposer's side nor the other may be favoured.
        for (uint32 price = 0; price < 12; ++price) {
            if (price == 9) continue;
            outcome.priceMicroEurPerKwh = price;
            _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongPrice.selector, price, 9));
        }
        outcome.priceMicroEurPerKwh = 9;
        _refuses(_withVolume(outcome, 5), b, o, abi.encodeWithSelector(IMarket.VolumeNotLargest.selector, 5));
        _refuses(_withVolume(outcome, 0), b, o, abi.encodeWithSelector(IMarket.VolumeNotLargest.selector, 0));
        _refuses(_withVolume(outcome, 7), b, o, abi.encodeWithSelector(IMarket.VolumeTooLarge.selector, 7));
        _refuses(
            _withVolume(outcome, type(uint64).max),
            b,
            o,
            abi.encodeWithSelector(IMarket.VolumeTooLarge.selector, type(uint64).max)
        );
        // The under-cleared outcome that a widely used library finds: 3 at 10.
        outcome.volumeWh = 3;
        outcome.priceMicroEurPerKwh = 10;
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.VolumeNotLargest.selector, 3));
    }

    function test_refuses_another_sharing() public {
        _documentedBook();
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        bytes memory wrong = abi.encodeWithSelector(IMarket.WrongMargin.selector, true, 4, 3);
        outcome.bidMarginWh = 5;
        _refuses(outcome, b, o, wrong);
        outcome.bidMarginWh = 0;
        _refuses(outcome, b, o, wrong);
        (outcome.bidMarginWh, outcome.bidRestWh) = (4, 4);
        _refuses(outcome, b, o, wrong);
        outcome.bidRestWh = type(uint64).max;
        _refuses(outcome, b, o, wrong);
        outcome.bidRestWh = 2;
        _refuses(outcome, b, o, wrong);
        outcome.bidRestWh = 3;
        wrong = abi.encodeWithSelector(IMarket.WrongMargin.selector, false, 2, 2);
        outcome.offerRestWh = 1;
        _refuses(outcome, b, o, wrong);
        (outcome.offerRestWh, outcome.offerMarginWh) = (2, 3);
        _refuses(outcome, b, o, wrong);
        outcome.offerMarginWh = 2;

        // Two bids of 2 Wh share 3 Wh: fractions 2/4 each, the lower hash gets the third Wh. Both, none, the other one.
        Cut memory cut = outcome.bidCut;
        bytes32 other = b[1] == cut.id ? b[2] : b[1];
        assertEq(uint256(cut.fraction), 2);
        outcome.bidCut = Cut(2, other);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, true, 2, 1));
        outcome.bidCut = Cut(type(uint128).max, 0);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, true, 0, 1));
        outcome.bidCut = Cut(1, cut.id);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, true, 2, 1));
        // The same fills by another cut: a book has one outcome.
        outcome.bidCut = Cut(2, bytes32(uint256(cut.id) + 1));
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, true, 1, 1));
        outcome.bidCut = cut;
        outcome.offerCut = Cut(type(uint128).max, bytes32(uint256(1)));
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, false, 0, 0));
        outcome.offerCut = Cut(5, 0);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.WrongCut.selector, false, 0, 0));
        outcome.offerCut = Cut(type(uint128).max, 0);
        market.clear(PLAIN, outcome, b, o);
    }

    function test_refuses_another_set_of_orders() public {
        _documentedBook();
        bytes32 cancelled = place(HILL, true, 4, 9);
        vm.prank(hillOwner);
        market.cancelOrder(cancelled, "");
        Order memory foreign = order(VALLEY, true, 4, 9);
        foreign.withAttributes = true;
        bytes32 ofOtherBook = place(foreign);
        foreign.withAttributes = false;
        foreign.hour = HOUR + 1;
        bytes32 ofOtherHour = place(foreign);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();

        for (uint256 i = 0; i < b.length; ++i) {
            _refuses(outcome, _without(b, i), o, abi.encodeWithSelector(IMarket.OrdersMissing.selector, PLAIN, 9, 10));
        }
        for (uint256 i = 0; i < o.length; ++i) {
            _refuses(outcome, b, _without(o, i), abi.encodeWithSelector(IMarket.OrdersMissing.selector, PLAIN, 9, 10));
        }
        _refuses(outcome, none, none, abi.encodeWithSelector(IMarket.StepSize.selector, 0, 200));
        // Unsorted, doubled.
        for (uint256 i = 1; i < b.length; ++i) {
            _refuses(
                outcome, _swapped(b, i - 1, i), o, abi.encodeWithSelector(IMarket.NotSorted.selector, b[i - 1], b[i])
            );
            _refuses(outcome, _with(b, b[i], i), o, abi.encodeWithSelector(IMarket.NotSorted.selector, b[i], b[i]));
        }
        for (uint256 i = 1; i < o.length; ++i) {
            _refuses(
                outcome, b, _swapped(o, i - 1, i), abi.encodeWithSelector(IMarket.NotSorted.selector, o[i - 1], o[i])
            );
        }
        // Cancelled, unknown, of another book, on the wrong side.
        _refuses(outcome, _with(b, cancelled, 1), o, abi.encodeWithSelector(IMarket.OrderNotLive.selector, cancelled));
        _refuses(
            outcome,
            _with(b, "unknown", 1),
            o,
            abi.encodeWithSelector(IMarket.OrderNotLive.selector, bytes32("unknown"))
        );
        _refuses(
            outcome, _with(b, ofOtherBook, 1), o, abi.encodeWithSelector(IMarket.WrongBook.selector, ofOtherBook, PLAIN)
        );
        _refuses(
            outcome, _with(b, ofOtherHour, 1), o, abi.encodeWithSelector(IMarket.WrongBook.selector, ofOtherHour, PLAIN)
        );
        _refuses(outcome, o, b, abi.encodeWithSelector(IMarket.WrongBook.selector, o[0], PLAIN));
        market.clear(PLAIN, outcome, b, o);
    }

    // --- when --------------------------------------------------------------------------------------------------------

    function test_an_outcome_is_accepted_between_gate_closure_and_deadline() public {
        _documentedBook();
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        warpTo(CLOSES_AT - 1);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.GateOpen.selector, PLAIN, CLOSES_AT));
        // Numbers that are no book's.
        for (uint256 shift = 33; shift < 64; shift += 10) {
            uint64 strange = PLAIN + uint64(1 << shift);
            vm.expectPartialRevert(IMarket.GateOpen.selector);
            market.proposeOutcome(strange, outcome, b, o);
        }
        warpTo(CLEARED_BY);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.ClearingTooLate.selector, PLAIN, CLEARED_BY));
        warpTo(CLEARED_BY - 1);
        market.clear(PLAIN, outcome, b, o);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.BookAlreadyCleared.selector, PLAIN));
        warpTo(CLEARED_BY);
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.BookAlreadyCleared.selector, PLAIN));
        _assertApplied();
    }

    function test_without_an_outcome_everything_is_released() public {
        _documentedBook();
        warpTo(CLEARED_BY - 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BookNotVoid.selector, PLAIN));
        market.releaseOrder(bids[0].id);
        warpTo(CLEARED_BY);
        assertTrue(market.fillsComplete(HOUR));
        assertBook(PLAIN, BookStatus.Void, 6, 4);
        vm.expectEmit(address(market));
        emit IMarket.OrderReleased(bids[0].id, PLAIN);
        market.releaseOrder(bids[0].id);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OrderNotLive.selector, bids[0].id));
        market.releaseOrder(bids[0].id);
        for (uint256 i = 1; i < 6; ++i) {
            market.releaseOrder(bids[i].id);
        }
        for (uint256 i = 0; i < 4; ++i) {
            market.releaseOrder(offers[i].id);
        }
        assertEq(heldOf(HILL_OWNERS) + heldOf(HARBOUR_OWNERS), 0);
        assertEq(escrow.free(HILL_OWNERS), WEALTH + 1e18);
        assertBook(PLAIN, BookStatus.Void, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BookNotCleared.selector, PLAIN));
        market.applyOutcome(PLAIN, none, none);
    }

    function test_nothing_is_released_once_an_outcome_stands() public {
        _documentedBook();
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        market.proposeOutcome(PLAIN, outcome, b, o);
        warpTo(CLEARED_BY + 30 days);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BookNotVoid.selector, PLAIN));
        market.releaseOrder(b[0]);
        assertFalse(market.fillsComplete(HOUR));
        market.applyOutcome(PLAIN, b, o);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OrderNotLive.selector, b[0]));
        market.releaseOrder(b[0]);
        _assertApplied();
    }

    // --- steps and proposers -----------------------------------------------------------------------------------------

    function test_several_proposers_and_the_first_complete_one_wins() public {
        _documentedBook();
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        // One lies and disappears, one disappears half way, one is slower; none keeps the last one from it.
        Outcome memory lie = _withVolume(outcome, 5);
        vm.prank(stranger);
        assertFalse(market.proposeOutcome(PLAIN, lie, _part(b, 0, 5), none));
        vm.prank(publisher);
        assertFalse(market.proposeOutcome(PLAIN, outcome, _part(b, 0, 1), o));
        vm.prank(hillOwner);
        assertFalse(market.proposeOutcome(PLAIN, outcome, b, _part(o, 0, 3)));

        vm.startPrank(harbourOwner);
        assertFalse(market.proposeOutcome(PLAIN, outcome, _part(b, 0, 2), _part(o, 0, 1)));
        assertFalse(market.proposeOutcome(PLAIN, outcome, none, _part(o, 1, 4)));
        assertTrue(market.proposeOutcome(PLAIN, outcome, _part(b, 2, 6), none));
        vm.stopPrank();
        assertEq(uint256(market.book(PLAIN).steps), 3);
        vm.prank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IMarket.BookAlreadyCleared.selector, PLAIN));
        market.proposeOutcome(PLAIN, outcome, none, _part(o, 3, 4));

        // Applied in the same steps, by anyone.
        bytes32 first = keccak256(abi.encode(_part(b, 0, 2), _part(o, 0, 1)));
        bytes32 shown = keccak256(abi.encode(none, _part(o, 1, 4)));
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongStep.selector, first, shown));
        market.applyOutcome(PLAIN, none, _part(o, 1, 4));
        vm.expectRevert(abi.encodeWithSelector(IMarket.WrongStep.selector, first, keccak256(abi.encode(b, o))));
        market.applyOutcome(PLAIN, b, o);
        market.applyOutcome(PLAIN, _part(b, 0, 2), _part(o, 0, 1));
        vm.expectPartialRevert(IMarket.WrongStep.selector);
        market.applyOutcome(PLAIN, _part(b, 0, 2), _part(o, 0, 1));
        // Forgetting a session that won changes nothing.
        vm.prank(harbourOwner);
        market.abandonProposal(PLAIN);
        market.applyOutcome(PLAIN, none, _part(o, 1, 4));
        assertFalse(market.fillsComplete(HOUR));
        market.applyOutcome(PLAIN, _part(b, 2, 6), none);
        vm.expectPartialRevert(IMarket.WrongStep.selector);
        market.applyOutcome(PLAIN, _part(b, 2, 6), none);
        vm.expectRevert(
            abi.encodeWithSelector(IMarket.WrongStep.selector, bytes32(0), keccak256(abi.encode(none, none)))
        );
        market.applyOutcome(PLAIN, none, none);
        _assertApplied();
    }

    function test_a_session_keeps_to_its_outcome_until_it_is_abandoned() public {
        _documentedBook();
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        Outcome memory lie = _withVolume(outcome, 5);
        market.proposeOutcome(PLAIN, lie, _part(b, 0, 4), none);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OutcomeChanged.selector, keccak256(abi.encode(lie))));
        market.proposeOutcome(PLAIN, outcome, _part(b, 4, 6), o);
        vm.expectRevert(abi.encodeWithSelector(IMarket.VolumeNotLargest.selector, 5));
        market.proposeOutcome(PLAIN, lie, _part(b, 4, 6), o);
        market.abandonProposal(PLAIN);
        // An order left out between two steps is found in the end, one shown again at once.
        market.proposeOutcome(PLAIN, outcome, _part(b, 0, 2), none);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotSorted.selector, b[1], b[1]));
        market.proposeOutcome(PLAIN, outcome, _part(b, 1, 6), o);
        assertFalse(market.proposeOutcome(PLAIN, outcome, _part(b, 3, 6), o));
        vm.expectRevert(abi.encodeWithSelector(IMarket.StepSize.selector, 0, 200));
        market.proposeOutcome(PLAIN, outcome, none, none);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotSorted.selector, b[2], b[5]));
        market.proposeOutcome(PLAIN, outcome, _part(b, 2, 3), none);
        market.abandonProposal(PLAIN);
        // clear is for a book that was not begun.
        market.proposeOutcome(PLAIN, outcome, _part(b, 0, 2), none);
        _refuses(outcome, _part(b, 2, 6), o, abi.encodeWithSelector(IMarket.OrdersMissing.selector, PLAIN, 8, 10));
        assertTrue(market.proposeOutcome(PLAIN, outcome, _part(b, 2, 6), o));
        market.applyOutcome(PLAIN, _part(b, 0, 2), none);
        market.applyOutcome(PLAIN, _part(b, 2, 6), o);
        _assertApplied();
    }

    /// The most that a step can hold can also be applied in one transaction; more cannot be verified.
    function test_a_step_that_can_be_verified_can_be_applied() public {
        for (uint256 i = 0; i < 201; ++i) {
            _bid(100 + i % 7, 10 + i);
        }
        _offer(100, 20_000);
        warpTo(CLOSES_AT);
        (Outcome memory outcome, bytes32[] memory b, bytes32[] memory o) = _right();
        _refuses(outcome, b, o, abi.encodeWithSelector(IMarket.StepSize.selector, 202, 200));
        market.proposeOutcome(PLAIN, outcome, _part(b, 0, 200), none);
        market.proposeOutcome(PLAIN, outcome, _part(b, 200, 201), o);
        market.applyOutcome(PLAIN, _part(b, 0, 200), none);
        market.applyOutcome(PLAIN, _part(b, 200, 201), o);
        _assertApplied();
    }

    // --- attributes --------------------------------------------------------------------------------------------------

    function test_bids_with_attributes_know_what_was_bought_before() public {
        bytes32[] memory b = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) {
            Order memory bid = order(HILL, true, 100, uint32(30 - i));
            bid.withAttributes = true;
            b[i] = place(bid);
        }
        Order memory offer = order(HARBOUR, false, 250, 10);
        offer.withAttributes = true;
        bytes32[] memory o = new bytes32[](1);
        o[0] = place(offer);
        warpTo(CLOSES_AT);
        // Q* = 250; p_lo = max(10, 28), p_hi = 28: the last bid is the margin.
        Outcome memory outcome = Outcome(250, 28, 100, 0, 50, 0, Cut(type(uint128).max, 0), Cut(type(uint128).max, 0));
        market.clear(WITH_ATTRIBUTES, outcome, b, o);
        uint64[3] memory fills = [uint64(100), 100, 50];
        for (uint256 i = 0; i < 3; ++i) {
            OrderState memory state = market.orderState(b[i]);
            assertEq(uint256(state.fillWh), fills[i]);
            assertEq(uint256(state.startWh), 100 * i);
            assertEq(uint256(state.boughtBeforeWh), 100 * i);
        }
        assertEq(market.boughtWithAttributesWh(HILL, HOUR), 250);
        assertEq(market.soldWh(HARBOUR, HOUR), 250);
        // What was not filled cannot move any more.
        (uint256 openWh,) = claims.dayAttributes(HILL, HOUR / 24);
        assertEq(openWh, 250);
        (openWh,) = claims.dayAttributes(HARBOUR, HOUR / 24);
        assertEq(openWh, 250);
    }

    function test_a_void_book_with_attributes_closes_the_day() public {
        Order memory bid = order(HILL, true, 100, 30);
        bid.withAttributes = true;
        bytes32 bidHash = place(bid);
        warpTo(CLEARED_BY);
        market.releaseOrder(bidHash);
        (uint256 openWh,) = claims.dayAttributes(HILL, HOUR / 24);
        assertEq(openWh, 0);
    }
}
