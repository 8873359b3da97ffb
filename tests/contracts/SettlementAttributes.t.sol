// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";
import { ISettlement, Sale } from "contracts/interfaces/ISettlement.sol";
import { BilateralTrade } from "contracts/types/Trade.sol";
import { SettlementFixture } from "testing/SettlementFixture.sol";

/// @notice Attributes that travel with trades, from settlement to the balances of both districts (domain.md §6).
contract SettlementAttributesTest is SettlementFixture {
    uint32 private constant PRICE = 100_000;
    int256 private constant AVERAGE = 1_900;
    int256 private constant MARGINAL = 2_300;

    function _assess(bytes32 districtId) private returns (bytes32 id) {
        vm.prank(administrator);
        id = assessments.openAssessment(districtId, SCHEME, VINTAGE, DAY);
    }

    function _trade(bytes32 sellerId, bytes32 buyerId, uint32 quantityWh)
        private
        returns (BilateralTrade[] memory trades)
    {
        trades = new BilateralTrade[](1);
        trades[0] = bilateral(sellerId, buyerId, true, quantityWh, PRICE);
    }

    function _settle(bytes32 sellerId, BilateralTrade[] memory trades) private {
        settlement.settle(sellerId, HOUR, nobody(), trades, noSales());
    }

    function _moved(BilateralTrade[] memory trades) private view returns (uint256) {
        return settlement.attributesMoved(market.hashTrade(trades[0]));
    }

    function _balance(bytes32 id) private returns (int256) {
        assessments.finalise(id, 1);
        assessments.bookAdjustments(id, 100);
        (Totals memory t, Totals memory adjusted) = assessments.cumulative(id, DAY + 1);
        return t.balance + adjusted.balance;
    }

    function _final() private {
        warpTo((uint256(DAY) + 1) * 1 days);
        publishFactors(DAY, dayFactors(uint16(uint256(AVERAGE)), uint16(uint256(MARGINAL))));
        toFinality();
    }

    function test_the_least_of_delivery_and_import_moves() public {
        BilateralTrade[] memory trades = _trade(HARBOUR, HILL, 1_000);
        meter(HARBOUR, HOUR, 5_000);
        meter(HILL, HOUR, -600);
        toFinality();
        _settle(HARBOUR, trades);
        assertEq(_moved(trades), 600);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).attributesOutWh), 600);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 1_000);
        assertEq(uint256(claims.hourClaims(HILL, HOUR).attributesInWh), 600);
        (uint256 open,) = claims.dayAttributes(HARBOUR, DAY);
        (uint256 openToo,) = claims.dayAttributes(HILL, DAY);
        assertEq(open + openToo, 0);
    }

    function test_nothing_moves_to_a_buyer_that_exports_or_is_not_complete() public {
        BilateralTrade[] memory first = _trade(HARBOUR, HILL, 1_000);
        meter(HARBOUR, HOUR, 5_000);
        meter(HILL, HOUR, 900);
        BilateralTrade[] memory second = _trade(HILL, VALLEY, 500);
        toFinality();
        _settle(HARBOUR, first);
        _settle(HILL, second);
        assertEq(_moved(first) + _moved(second), 0);
        (uint256 open,) = claims.dayAttributes(HILL, DAY);
        assertEq(open, 0);
    }

    /// Two sellers to one buyer: the parts of its import are by place, so that it does not matter who settles first.
    /// forge-config: default.fuzz.runs = 48
    /// forge-config: ci.fuzz.runs = 400
    function testFuzz_two_sellers_to_one_buyer(uint16 imported, uint16 first, uint16 second, bool otherWayRound)
        public
    {
        (uint32 a, uint32 b) = (uint32(first) + 1, uint32(second) + 1);
        BilateralTrade[] memory one = _trade(HARBOUR, HILL, a);
        BilateralTrade[] memory two = _trade(VALLEY, HILL, b);
        meter(HARBOUR, HOUR, int256(uint256(a)));
        meter(VALLEY, HOUR, int256(uint256(b)));
        meter(HILL, HOUR, -int256(uint256(imported)));
        toFinality();
        if (otherWayRound) _settle(VALLEY, two);
        _settle(HARBOUR, one);
        if (!otherWayRound) _settle(VALLEY, two);
        uint256 part = uint256(imported) * a / (uint256(a) + b);
        uint256 rest = imported - part;
        assertEq(_moved(one), part < a ? part : a);
        assertEq(_moved(two), rest < b ? rest : b);
        assertLe(uint256(claims.hourClaims(HILL, HOUR).attributesInWh), imported);
    }

    /// Both verdicts change as domain.md §6 says, and a day is not finalised before its trades are settled.
    function test_both_balances_change() public {
        (bytes32 seller, bytes32 buyer) = (_assess(HARBOUR), _assess(HILL));
        BilateralTrade[] memory trades = _trade(HARBOUR, HILL, 1_000);
        Sale[] memory sales = new Sale[](1);
        market.clear(uint64(HOUR) * 2, PRICE);
        sales[0] = saleOf(HARBOUR, HILL, false, 500, 0);
        meter(HARBOUR, HOUR, 2_000);
        meter(HILL, HOUR, -1_500);
        _final();
        assertEq(assessments.finalise(seller, 1) + assessments.finalise(buyer, 1), 0, "unsettled");
        settlement.settle(HARBOUR, HOUR, nobody(), trades, sales);
        assertEq(_balance(seller), (2_000 - 1_000) * MARGINAL, "energy only changes no balance");
        assertEq(_balance(buyer), -(1_500 - 1_000) * AVERAGE);
    }

    /// The netting loophole: a plant and its consumers, split in two districts, have together what one district would have.
    /// forge-config: default.fuzz.runs = 48
    /// forge-config: ci.fuzz.runs = 400
    function testFuzz_two_districts_gain_nothing_over_one(uint16 produced, uint16 consumed) public {
        (bytes32 plant, bytes32 town) = (_assess(HARBOUR), _assess(HILL));
        uint256 least = produced < consumed ? produced : consumed;
        BilateralTrade[] memory trades;
        if (least > 0) trades = _trade(HARBOUR, HILL, uint32(least));
        meter(HARBOUR, HOUR, int256(uint256(produced)));
        meter(HILL, HOUR, -int256(uint256(consumed)));
        _final();
        if (least > 0) _settle(HARBOUR, trades);
        int256 net = int256(uint256(produced)) - int256(uint256(consumed));
        int256 one = net > 0 ? net * MARGINAL : net * AVERAGE;
        assertEq(_balance(plant) + _balance(town), one);
    }

    /// The buyer's import is adjusted: what moved follows, as a difference of the day in both assessments.
    function test_a_follow_up_of_the_buyers_import() public {
        (bytes32 seller, bytes32 buyer) = (_assess(HARBOUR), _assess(HILL));
        BilateralTrade[] memory trades = _trade(HARBOUR, HILL, 1_000);
        meter(HARBOUR, HOUR, 1_000);
        meter(HILL, HOUR, -1_000);
        _final();
        _settle(HARBOUR, trades);
        assertEq(_balance(seller), 0);
        assertEq(_balance(buyer), 0);
        adjustHour(HILL, HOUR, 1, -1_000, -400);
        assertEq(_balance(buyer), 0, "what moved is more than is imported now");
        int256 money = freeOf(owners[0]);
        _settle(HARBOUR, trades);
        assertEq(freeOf(owners[0]), money, "delivery is the same");
        assertEq(_moved(trades), 400);
        assertEq(claims.changeCount(HARBOUR), 1);
        assertEq(_balance(seller), 600 * MARGINAL);
        assertEq(_balance(buyer), 0);
        adjustHour(HILL, HOUR, 2, -400, -2_000);
        _settle(HARBOUR, trades);
        assertEq(_balance(seller), 0);
        assertEq(_balance(buyer), -1_000 * AVERAGE);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingChanged.selector, HARBOUR, HOUR));
        _settle(HARBOUR, trades);
    }

    /// The seller's export is adjusted: money and attributes follow.
    function test_a_follow_up_of_the_sellers_export() public {
        (bytes32 seller, bytes32 buyer) = (_assess(HARBOUR), _assess(HILL));
        BilateralTrade[] memory trades = _trade(HARBOUR, HILL, 1_000);
        meter(HARBOUR, HOUR, 1_000);
        meter(HILL, HOUR, -1_000);
        publishImbalance(HOUR, 0);
        _final();
        _settle(HARBOUR, trades);
        _balance(seller);
        _balance(buyer);
        adjustHour(HARBOUR, HOUR, 1, 1_000, 700);
        _settle(HARBOUR, trades);
        assertEq(freeOf(owners[0]), 70_000 - 3_000);
        assertEq(_balance(seller), 0);
        assertEq(_balance(buyer), -300 * AVERAGE);
        assertMoneyIsWhole();
    }
}
