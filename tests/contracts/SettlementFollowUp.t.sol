// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ISettlement, Sale, SettlementStatus } from "contracts/interfaces/ISettlement.sol";
import { BilateralTrade, Cut } from "contracts/types/Trade.sol";
import { SettlementFixture } from "testing/SettlementFixture.sol";

/// @notice Adjustments after finality: the same trades, another C; differences are owed.
contract SettlementFollowUpTest is SettlementFixture {
    uint32 private constant PRICE = 100_000;
    BilateralTrade[] private trades;

    function setUp() public override {
        super.setUp();
        trades.push(bilateral(HARBOUR, HILL, false, 1_000, PRICE));
    }

    function _settle(uint256 certifiedWh, bool metered) private {
        if (metered) meter(HARBOUR, HOUR, int256(certifiedWh));
        publishImbalance(HOUR, 150_000);
        toFinality();
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
    }

    function _follow() private {
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
    }

    function test_more_was_delivered_than_settled() public {
        _settle(600, true);
        assertEq(freeOf(owners[0]), 60_000 - 20_000);
        adjustHour(HARBOUR, HOUR, 1, 600, 900);
        _follow();
        assertEq(freeOf(owners[0]), 90_000 - 5_000, "as if it had been settled so");
        assertEq(freeOf(owners[1]), -85_000);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).round), 2);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).certifiedWh), 900);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 900);
        assertMoneyIsWhole();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingChanged.selector, HARBOUR, HOUR));
        _follow();
    }

    function test_less_and_back_again() public {
        _settle(1_000, true);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 0);
        assertEq(freeOf(owners[0]), 100_000, "an adjustment pays nothing by itself");
        vm.expectEmit(address(settlement));
        emit ISettlement.TradeFollowedUp(market.hashTrade(trades[0]), HARBOUR, HILL, HOUR, 2, 0, 0, -100_000 - 50_000);
        _follow();
        assertEq(freeOf(owners[0]), -50_000);
        adjustHour(HARBOUR, HOUR, 2, 0, 1_000);
        _follow();
        assertEq(freeOf(owners[0]), 100_000);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).round), 3);
        assertMoneyIsWhole();
    }

    /// Metering that comes too late for settlement comes in time for a follow-up.
    function test_late_metering() public {
        _settle(0, false);
        assertEq(freeOf(owners[0]), -50_000);
        adjustHour(HARBOUR, HOUR, 0, 0, 2_000);
        _follow();
        assertEq(freeOf(owners[0]), 100_000);
        assertMoneyIsWhole();
    }

    function test_more_export_than_was_sold_changes_nothing() public {
        _settle(1_000, true);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 3_000);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingChanged.selector, HARBOUR, HOUR));
        _follow();
    }

    /// What the debtor has not is a debt, and is paid when it has.
    function test_a_debt_when_the_free_money_does_not_reach() public {
        _settle(1_000, true);
        address account = _account("harbour's treasurer");
        bytes32 role = registry.DISTRICT_OWNER();
        vm.prank(administrator);
        registry.enrol(account, owners[0], role);
        vm.prank(account);
        escrow.withdraw(owners[0], WEALTH + 100_000 - 30_000, account);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 0);
        _follow();
        assertEq(escrow.free(owners[0]), 0);
        assertEq(escrow.debt(owners[0], owners[1]), 120_000);
        assertEq(freeOf(owners[1]), -100_000 + 30_000);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).status), uint256(SettlementStatus.Settled));
        vm.startPrank(account);
        token.approve(address(escrow), 500_000);
        escrow.deposit(owners[0], 500_000);
        vm.stopPrank();
        escrow.payDebt(owners[0], owners[1]);
        assertEq(freeOf(owners[1]), 50_000);
        assertEq(escrow.free(owners[0]), 380_000);
    }

    /// A debtor's other trades are settled like any: the debts of one do not stop the others.
    function test_a_debtor_blocks_nobody() public {
        _settle(1_000, true);
        address account = _account("harbour's treasurer");
        bytes32 role = registry.DISTRICT_OWNER();
        vm.prank(administrator);
        registry.enrol(account, owners[0], role);
        BilateralTrade memory later = trades[0];
        later.hour = HOUR + 24;
        market.register(later);
        BilateralTrade memory bought = BilateralTrade(VALLEY, HARBOUR, HOUR + 24, false, 1_000, PRICE, 1, 0);
        market.register(bought);
        uint256 all = escrow.free(owners[0]);
        vm.prank(account);
        escrow.withdraw(owners[0], all, account);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 0);
        _follow();
        assertEq(escrow.debt(owners[0], owners[1]), 150_000);
        warpTo(_finalityOf(DAY + 1));
        BilateralTrade[] memory one = new BilateralTrade[](1);
        one[0] = bought;
        settlement.settle(VALLEY, HOUR + 24, nobody(), one, noSales());
        one[0] = later;
        settlement.settle(HARBOUR, HOUR + 24, nobody(), one, noSales());
        assertTrue(settlement.isSettled(VALLEY, HOUR + 24) && settlement.isSettled(HARBOUR, HOUR + 24));
        assertEq(heldOf(owners[0]) + heldOf(owners[1]) + heldOf(owners[2]), 0);
    }

    /// With shares by the largest remainder in both rounds, in steps: who got a Wh more may lose it.
    function test_a_follow_up_in_steps_with_cuts() public {
        trades.push(bilateral(HARBOUR, VALLEY, false, 1_000, PRICE));
        trades.push(bilateral(HARBOUR, VALLEY, false, 999, PRICE));
        BilateralTrade[] memory all = sorted(trades);
        (uint256[] memory quantities, bytes32[] memory ids) = (new uint256[](3), new bytes32[](3));
        for (uint256 i = 0; i < 3; ++i) {
            (quantities[i], ids[i]) = (all[i].quantityWh, market.hashTrade(all[i]));
        }
        meter(HARBOUR, HOUR, 1_000);
        toFinality();
        settlement.settle(HARBOUR, HOUR, cutOf(quantities, ids, 1_000), all, noSales());
        int256 first = freeOf(owners[0]);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 2_000);
        Cut memory cut = cutOf(quantities, ids, 2_000);
        for (uint256 i = 0; i < 3; ++i) {
            BilateralTrade[] memory one = new BilateralTrade[](1);
            one[0] = all[i];
            assertTrue(settlement.proveShares(HARBOUR, HOUR, cut, one, noSales()) == (i == 2));
        }
        assertEq(freeOf(owners[0]), first, "nothing is paid by a proof");
        for (uint256 i = 0; i < 3; ++i) {
            BilateralTrade[] memory one = new BilateralTrade[](1);
            one[0] = all[i];
            settlement.payShares(HARBOUR, HOUR, one, noSales());
        }
        // 2,000 Wh delivered for 100 each, 999 short for 400 each: whatever the way there.
        assertEq(freeOf(owners[0]), 2_000 * 100 - 999 * 400);
        assertMoneyIsWhole();
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).round), 2);
    }

    /// A round that was proven is paid as proven, whatever is adjusted meanwhile; that is the next round's.
    function test_an_adjustment_between_proof_and_payment() public {
        meter(HARBOUR, HOUR, 1_000);
        publishImbalance(HOUR, 150_000);
        toFinality();
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
        adjustHour(HARBOUR, HOUR, 1, 1_000, 600);
        settlement.payShares(HARBOUR, HOUR, trades, noSales());
        assertEq(freeOf(owners[0]), 100_000);
        _follow();
        assertEq(freeOf(owners[0]), 60_000 - 20_000);
        assertMoneyIsWhole();
    }

    /// An adjustment in the middle of a proof: the steps are of other shares, and the proposer begins again.
    function test_an_adjustment_within_a_proof() public {
        trades.push(bilateral(HARBOUR, VALLEY, false, 1_000, PRICE));
        BilateralTrade[] memory all = sorted(trades);
        BilateralTrade[] memory one = new BilateralTrade[](1);
        meter(HARBOUR, HOUR, 2_000);
        toFinality();
        one[0] = all[0];
        settlement.proveShares(HARBOUR, HOUR, nobody(), one, noSales());
        adjustHour(HARBOUR, HOUR, 1, 2_000, 0);
        one[0] = all[1];
        vm.expectPartialRevert(ISettlement.CutChanged.selector);
        settlement.proveShares(HARBOUR, HOUR, nobody(), one, noSales());
        settlement.proveShares(HARBOUR, HOUR, nobody(), none(), noSales());
        assertTrue(settlement.proveShares(HARBOUR, HOUR, nobody(), all, noSales()));
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).certifiedWh), 0);
    }
}
