// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ISettlement, Sale, SellerHour, SettlementStatus } from "contracts/interfaces/ISettlement.sol";
import { CertifiedHour } from "contracts/libraries/CertifiedHour.sol";
import { BilateralTrade, Cut, Order, OrderStatus } from "contracts/types/Trade.sol";
import { SettlementFixture } from "testing/SettlementFixture.sol";

/// @notice One seller's hour: what is delivered, who gets what, and what is refused. Energy only; attributes and follow-ups have files
/// of their own.
contract SettlementTest is SettlementFixture {
    uint32 private constant PRICE = 100_000;

    function setUp() public override {
        super.setUp();
        market.clear(uint64(HOUR) * 2, PRICE);
    }

    /// @dev Two bilateral trades of 1 kWh and one sale of 1 kWh.
    function _three() private returns (BilateralTrade[] memory trades, Sale[] memory sales) {
        trades = new BilateralTrade[](2);
        trades[0] = bilateral(HARBOUR, HILL, false, 1_000, PRICE);
        trades[1] = bilateral(HARBOUR, VALLEY, false, 1_000, PRICE);
        trades = sorted(trades);
        sales = new Sale[](1);
        sales[0] = saleOf(HARBOUR, HILL, false, 1_000, 0);
    }

    function _one(uint32 quantityWh, uint32 price) private returns (BilateralTrade[] memory trades) {
        trades = new BilateralTrade[](1);
        trades[0] = bilateral(HARBOUR, HILL, false, quantityWh, price);
    }

    function _settle(BilateralTrade[] memory trades) private {
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
    }

    function _assertPaid(int256 seller, int256 buyer) private view {
        assertEq(freeOf(owners[0]), seller, "seller");
        assertEq(freeOf(owners[1]), buyer, "buyer");
        assertEq(heldOf(owners[0]) + heldOf(owners[1]) + heldOf(owners[2]), 0, "held");
        assertMoneyIsWhole();
    }

    // --- delivery and money ------------------------------------------------------------------------------------------

    function test_all_delivered() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        meter(HARBOUR, HOUR, 5_000);
        toFinality();
        settlement.settle(HARBOUR, HOUR, nobody(), trades, sales);
        _assertPaid(300_000, -200_000);
        SellerHour memory s = settlement.sellerHour(HARBOUR, HOUR);
        assertEq(uint256(s.status), uint256(SettlementStatus.Settled));
        assertEq(uint256(s.certifiedWh), 5_000);
        assertEq(uint256(s.soldWh), 3_000);
        assertEq(uint256(s.round), 1);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 3_000);
        assertTrue(settlement.isSettled(HARBOUR, HOUR));
    }

    /// 2 kWh for three buyers of 1 kWh: 667, 667 and 666, the fractions being equal to those with the lowest identities.
    function test_a_shortfall_is_shared_and_compensated() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        meter(HARBOUR, HOUR, 2_000);
        publishImbalance(HOUR, 180_000);
        toFinality();
        (uint256[] memory quantities, bytes32[] memory ids) = (new uint256[](3), new bytes32[](3));
        (quantities[0], quantities[1], quantities[2]) = (1_000, 1_000, 1_000);
        (ids[0], ids[1], ids[2]) = (market.hashTrade(trades[0]), market.hashTrade(trades[1]), idOf(sales[0], 0));
        Cut memory cut = cutOf(quantities, ids, 2_000);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongCut.selector, 0, 2));
        settlement.settle(HARBOUR, HOUR, nobody(), trades, sales);
        Cut memory wrong = Cut(cut.fraction - 1, cut.id);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongCut.selector, 3, 2));
        settlement.settle(HARBOUR, HOUR, wrong, trades, sales);
        // The right number, but it names nobody of them.
        wrong = Cut(cut.fraction, bytes32(uint256(cut.id) + 1));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.WrongCut.selector, 2, 2));
        settlement.settle(HARBOUR, HOUR, wrong, trades, sales);
        settlement.settle(HARBOUR, HOUR, cut, trades, sales);
        vm.snapshotGasLastCall("Settlement", "settle_3_trades_shortfall");
        // 2,000 Wh at 100,000 per kWh, less 1,000 Wh at the difference of 80,000; each amount rounded down by itself.
        assertEq(freeOf(owners[0]), 66_700 * 2 + 66_600 - (26_640 * 2 + 26_720));
        assertMoneyIsWhole();
        assertEq(heldOf(owners[0]) + heldOf(owners[1]) + heldOf(owners[2]), 0);
        Cut memory stored = settlement.sellerHour(HARBOUR, HOUR).cut;
        assertTrue(stored.fraction == cut.fraction && stored.id == cut.id);
    }

    function test_without_an_imbalance_price_the_bond_rate_counts() public {
        BilateralTrade[] memory trades = _one(2_001, PRICE);
        toFinality();
        _settle(trades);
        // Missing metering: C is 0. The imbalance counts as the bond rate, all of the price goes back.
        _assertPaid(-2_001 * 400, 2_001 * 400);
    }

    function test_a_deliberate_shortfall_costs_a_tenth_at_least() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 0);
        publishImbalance(HOUR, 1);
        toFinality();
        _settle(trades);
        _assertPaid(-10_000, 10_000);
    }

    function test_a_shortfall_costs_the_bond_at_most() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 400);
        publishImbalance(HOUR, 4_000_000);
        toFinality();
        _settle(trades);
        _assertPaid(40_000 - 300_000, -40_000 + 300_000);
    }

    function test_price_zero() public {
        BilateralTrade[] memory trades = _one(1_000, 0);
        meter(HARBOUR, HOUR, 400);
        publishImbalance(HOUR, 0);
        toFinality();
        _settle(trades);
        _assertPaid(0, 0);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 400);
    }

    function test_price_of_ten_bonds() public {
        BilateralTrade[] memory trades = _one(999, uint32(10 * BETA));
        meter(HARBOUR, HOUR, 500);
        publishImbalance(HOUR, 0);
        toFinality();
        _settle(trades);
        _assertPaid(500 * 5_000 - 499 * 500, -500 * 5_000 + 499 * 500);
    }

    /// Ceilings of what was held and floors of what is paid: the dust goes back to whom it came from.
    function test_dust_returns() public {
        BilateralTrade[] memory trades = _one(333, 33_333);
        meter(HARBOUR, HOUR, 332);
        publishImbalance(HOUR, 33_334);
        toFinality();
        assertEq(heldOf(owners[1]), 11_100, "333 * 33,333 / 1000 rounded up");
        _settle(trades);
        _assertPaid(11_066 - 3, -11_066 + 3);
    }

    function test_an_hour_that_is_not_complete_delivers_nothing() public {
        // The load is missing, then conservation is violated.
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meterWith(HARBOUR, HOUR, abi.encodePacked(measured(0, 2_000), measured(2_100, 0), rec(MISSING, 0, 0)));
        meterWith(HILL, HOUR, abi.encodePacked(measured(0, 2_000), measured(2_000, 0), measured(0, 100)));
        toFinality();
        (bool complete, int256 netExportWh) = settlement.certifiedNetExport(HARBOUR, HOUR);
        assertFalse(complete);
        assertEq(netExportWh, 2_000);
        (complete, netExportWh) = settlement.certifiedNetExport(HILL, HOUR);
        assertFalse(complete);
        assertEq(netExportWh, 2_000);
        _settle(trades);
        _assertPaid(-400_000, 400_000);
    }

    /// A correction before finality is what counts: before it nothing was paid.
    function test_a_correction_before_finality_is_what_counts() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 0);
        bytes memory old = abi.encodePacked(uint8(HOUR % 24), hourRecords(0));
        warpTo(_finalityOf(DAY) - 1);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.HourNotFinal.selector, HOUR, _finalityOf(DAY)));
        _settle(trades);
        correct(PLANT_KEY, batch(PLANT, DAY, 2, 1, abi.encodePacked(uint8(HOUR % 24), hourRecords(1_000))), old);
        assertEq(freeOf(owners[0]), -500_000, "held only");
        toFinality();
        _settle(trades);
        _assertPaid(100_000, -100_000);
    }

    // --- one kWh, one claim ------------------------------------------------------------------------------------------

    function test_external_certificates_come_first() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        vm.prank(owner);
        claims.declareExternal(HARBOUR, HOUR, 700, "certificate");
        meter(HARBOUR, HOUR, 1_000);
        publishImbalance(HOUR, 0);
        toFinality();
        _settle(trades);
        _assertPaid(300 * 100 - 700 * 10, -300 * 100 + 700 * 10);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).certifiedWh), 300);
    }

    function test_certificates_beyond_the_export_leave_nothing() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        vm.prank(owner);
        claims.declareExternal(HARBOUR, HOUR, type(uint32).max, "certificate");
        meter(HARBOUR, HOUR, 1_000);
        toFinality();
        _settle(trades);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 0);
    }

    /// The same kWh sold in both books and bilaterally is delivered once.
    function test_overselling_delivers_each_kwh_once() public {
        market.clear(uint64(HOUR) * 2 + 1, PRICE);
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        Sale[] memory sales = new Sale[](2);
        sales[0] = saleOf(HARBOUR, VALLEY, false, 1_000, 0);
        sales[1] = saleOf(HARBOUR, VALLEY, true, 1_000, 0);
        sales = sorted(sales);
        meter(HARBOUR, HOUR, 1_000);
        toFinality();
        (uint256[] memory quantities, bytes32[] memory ids) = (new uint256[](3), new bytes32[](3));
        (quantities[0], quantities[1], quantities[2]) = (1_000, 1_000, 1_000);
        (ids[0], ids[1], ids[2]) = (market.hashTrade(trades[0]), idOf(sales[0], 0), idOf(sales[1], 0));
        settlement.settle(HARBOUR, HOUR, cutOf(quantities, ids, 1_000), trades, sales);
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 1_000);
        assertLe(uint256(claims.hourClaims(HARBOUR, HOUR).attributesOutWh), 1_000);
        assertMoneyIsWhole();
    }

    // --- when and what -----------------------------------------------------------------------------------------------

    function test_not_before_the_hour_is_final() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 1_000);
        bytes memory early = abi.encodeWithSelector(ISettlement.HourNotFinal.selector, HOUR, _finalityOf(DAY));
        warpTo(_finalityOf(DAY) - 1);
        vm.expectRevert(early);
        _settle(trades);
        vm.expectRevert(early);
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
        vm.expectRevert(early);
        settlement.certifiedNetExport(HARBOUR, HOUR);
    }

    function test_not_while_a_book_is_not_applied() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        toFinality();
        market.setFillsComplete(HOUR, false);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.FillsIncomplete.selector, HOUR));
        _settle(trades);
        assertFalse(settlement.isSettled(VALLEY, HOUR));
        market.setFillsComplete(HOUR, true);
        assertTrue(settlement.isSettled(VALLEY, HOUR));
        assertFalse(settlement.isSettled(HARBOUR, HOUR));
        _settle(trades);
    }

    function test_not_where_nothing_was_sold() public {
        toFinality();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingSold.selector, HARBOUR, HOUR));
        _settle(none());
    }

    function test_never_twice() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 800);
        toFinality();
        _settle(trades);
        int256 before = freeOf(owners[0]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingChanged.selector, HARBOUR, HOUR));
        _settle(trades);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NothingChanged.selector, HARBOUR, HOUR));
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettled.selector, HARBOUR, HOUR));
        settlement.payShares(HARBOUR, HOUR, trades, noSales());
        assertEq(freeOf(owners[0]), before);
    }

    /// What a compromised key signed passes for nothing before it is looked through.
    function test_not_while_a_compromise_is_not_looked_through() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 1_000);
        uint64 since = uint64(time);
        toFinality();
        vm.prank(operator);
        registry.revokeKey(PLANT, since);
        vm.expectRevert(abi.encodeWithSelector(CertifiedHour.CompromisePending.selector, HARBOUR, 0, 1));
        _settle(trades);
        ledger.scanCompromise(HARBOUR, 100);
        _settle(trades);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).certifiedWh), 0, "tainted");
    }

    function test_every_trade_must_be_shown() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        meter(HARBOUR, HOUR, 3_000);
        toFinality();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradesMissing.selector, 2_000, 3_000));
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradesMissing.selector, 1_000, 3_000));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
    }

    function test_trades_are_shown_in_order_and_once() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        toFinality();
        (bytes32 first, bytes32 second) = (market.hashTrade(trades[0]), market.hashTrade(trades[1]));
        (trades[0], trades[1]) = (trades[1], trades[0]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradesNotSorted.selector, first, second));
        settlement.settle(HARBOUR, HOUR, nobody(), trades, sales);
        trades[1] = trades[0];
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradesNotSorted.selector, second, second));
        settlement.settle(HARBOUR, HOUR, nobody(), trades, sales);
        Sale[] memory twice = new Sale[](2);
        (twice[0], twice[1]) = (sales[0], sales[0]);
        bytes32 offer = market.hashOrder(sales[0].offer);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradesNotSorted.selector, offer, offer));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), twice);
        // A bilateral trade does not come after a sale, in a later step either.
        settlement.proveShares(HARBOUR, HOUR, nobody(), none(), sales);
        (trades[0], trades[1]) = (trades[1], trades[0]);
        vm.expectPartialRevert(ISettlement.TradesNotSorted.selector);
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
    }

    function test_foreign_trades_are_refused() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        BilateralTrade[] memory other = new BilateralTrade[](1);
        other[0] = bilateral(HILL, VALLEY, false, 1_000, PRICE);
        toFinality();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradeUnknown.selector, market.hashTrade(other[0])));
        _settle(other);
        other[0] = trades[0];
        other[0].quantityWh = 999;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradeUnknown.selector, market.hashTrade(other[0])));
        _settle(other);
        other[0].quantityWh = 1_000;
        other[0].hour = HOUR + 1;
        market.register(other[0]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.TradeUnknown.selector, market.hashTrade(other[0])));
        _settle(other);
    }

    function _refusesSale(Sale memory sale, bytes32 culprit) private {
        Sale[] memory sales = new Sale[](1);
        sales[0] = sale;
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotASale.selector, culprit));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
    }

    function test_orders_that_do_not_trade_are_refused() public {
        Sale memory sale = saleOf(HARBOUR, HILL, false, 1_000, 0);
        Sale memory others = saleOf(VALLEY, HILL, false, 1_000, 1_000);
        Sale memory attributes = saleOf(HARBOUR, HILL, true, 1_000, 0);
        toFinality();
        _refusesSale(others, market.hashOrder(others.offer));
        _refusesSale(Sale(sale.offer, new Order[](0)), market.hashOrder(sale.offer));
        _refusesSale(Sale(sale.bids[0], sale.bids), market.hashOrder(sale.bids[0]));
        Order[] memory bids = new Order[](1);
        bids[0] = sale.offer;
        _refusesSale(Sale(sale.offer, bids), market.hashOrder(sale.offer));
        // Of the other book, of another place on the axis, of another hour, and not applied.
        _refusesSale(Sale(sale.offer, attributes.bids), market.hashOrder(attributes.bids[0]));
        _refusesSale(Sale(sale.offer, others.bids), market.hashOrder(others.bids[0]));
        bids[0] = order(HILL, true, false, 1_000);
        bids[0].hour = HOUR + 1;
        market.fill(bids[0], 1_000, 0);
        _refusesSale(Sale(sale.offer, bids), market.hashOrder(bids[0]));
        bids[0].hour = HOUR;
        _refusesSale(Sale(sale.offer, bids), market.hashOrder(bids[0]));
        market.fill(bids[0], 0, 0);
        _refusesSale(Sale(sale.offer, bids), market.hashOrder(bids[0]));
        market.setStatus(sale.offer, OrderStatus.Cancelled);
        _refusesSale(sale, market.hashOrder(sale.offer));
    }

    function test_bids_follow_the_axis_without_a_gap() public {
        Order memory offer = order(HARBOUR, false, false, 300);
        Order[] memory bids = new Order[](3);
        for (uint256 i = 0; i < 3; ++i) {
            bids[i] = order(HILL, true, false, 100);
            market.fill(bids[i], 100, uint64(1_000 + 100 * i));
        }
        market.fill(offer, 300, 1_000);
        toFinality();
        bytes32 offerHash = market.hashOrder(offer);
        Sale[] memory sales = new Sale[](1);
        Order[] memory some = new Order[](2);
        (some[0], some[1]) = (bids[0], bids[2]);
        sales[0] = Sale(offer, some);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AxisGap.selector, offerHash, 1_100, 1_200));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
        (some[0], some[1]) = (bids[1], bids[0]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AxisGap.selector, offerHash, 1_000, 1_100));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
        (some[0], some[1]) = (bids[0], bids[0]);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AxisGap.selector, offerHash, 1_100, 1_000));
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
    }

    // --- in steps ----------------------------------------------------------------------------------------------------

    /// 3,000 Wh sold in 1,500 trades of 2 Wh, all of one offer, of which 1,000 Wh are delivered.
    function test_thousands_of_tiny_trades_are_settled_in_steps() public {
        uint256 count = 1_500;
        Order memory offer = order(HARBOUR, false, false, uint32(2 * count));
        market.fill(offer, uint32(2 * count), 500);
        Order[] memory bids = new Order[](count);
        (uint256[] memory quantities, bytes32[] memory ids) = (new uint256[](count), new bytes32[](count));
        bytes32 offerHash = market.hashOrder(offer);
        for (uint256 i = 0; i < count; ++i) {
            bids[i] = order(i % 3 == 0 ? VALLEY : HILL, true, false, 2);
            market.fill(bids[i], 2, uint64(500 + 2 * i));
            (quantities[i], ids[i]) = (2, keccak256(abi.encode(offerHash, market.hashOrder(bids[i]))));
        }
        meter(HARBOUR, HOUR, 1_000);
        publishImbalance(HOUR, 0);
        toFinality();
        Cut memory cut = _medianCut(ids, 1_000);
        Sale[] memory sales = new Sale[](1);
        // A step that nobody could pay would lock the hour for ever.
        assertEq(settlement.mostTradesPerStep(), 150);
        sales[0] = Sale(offer, _slice(bids, 0, 151));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.StepSize.selector, 151, 150));
        settlement.proveShares(HARBOUR, HOUR, cut, none(), sales);
        for (uint256 step = 0; step < 10; ++step) {
            sales[0] = Sale(offer, _slice(bids, 150 * step, 150));
            assertTrue(settlement.proveShares(HARBOUR, HOUR, cut, none(), sales) == (step == 9));
        }
        vm.snapshotGasLastCall("Settlement", "prove_150_trades");
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).status), uint256(SettlementStatus.Proven));
        assertEq(uint256(claims.hourClaims(HARBOUR, HOUR).deliveredWh), 1_000);
        assertFalse(settlement.isSettled(HARBOUR, HOUR));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AlreadySettled.selector, HARBOUR, HOUR));
        settlement.settle(HARBOUR, HOUR, cut, none(), sales);
        // Not the step that comes next.
        vm.expectPartialRevert(ISettlement.WrongStep.selector);
        settlement.payShares(HARBOUR, HOUR, none(), sales);
        for (uint256 step = 0; step < 10; ++step) {
            sales[0] = Sale(offer, _slice(bids, 150 * step, 150));
            vm.prank(stranger);
            settlement.payShares(HARBOUR, HOUR, none(), sales);
        }
        vm.snapshotGasLastCall("Settlement", "pay_150_trades");
        vm.expectRevert(abi.encodeWithSelector(ISettlement.NotSettled.selector, HARBOUR, HOUR));
        settlement.payShares(HARBOUR, HOUR, none(), sales);
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).status), uint256(SettlementStatus.Settled));
        // 1,000 trades deliver 1 Wh for 100; each is short of 1 Wh for 10, and 500 of two for 20.
        assertEq(freeOf(owners[0]), 1_000 * (100 - 10) - 500 * 20);
        assertEq(heldOf(owners[0]) + heldOf(owners[1]) + heldOf(owners[2]), 0);
        assertMoneyIsWhole();
    }

    /// @dev All fractions are equal: the `left` lowest identities are chosen.
    function _medianCut(bytes32[] memory ids, uint256 left) private pure returns (Cut memory) {
        (uint256 low, uint256 high) = (0, type(uint256).max);
        while (low < high) {
            uint256 middle = low + (high - low) / 2;
            uint256 count = 0;
            for (uint256 i = 0; i < ids.length; ++i) {
                if (uint256(ids[i]) <= middle) ++count;
            }
            if (count < left) low = middle + 1;
            else high = middle;
        }
        return Cut(2_000, bytes32(low));
    }

    function _slice(Order[] memory list, uint256 from, uint256 count) private pure returns (Order[] memory part) {
        part = new Order[](count);
        for (uint256 i = 0; i < count; ++i) {
            part[i] = list[from + i];
        }
    }

    function test_proposers_do_not_disturb_each_other() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        meter(HARBOUR, HOUR, 3_000);
        toFinality();
        BilateralTrade[] memory first = new BilateralTrade[](1);
        // A stranger leaves the first trade out, and can never end; one that begins again can.
        first[0] = trades[1];
        vm.startPrank(stranger);
        settlement.proveShares(HARBOUR, HOUR, nobody(), first, noSales());
        assertFalse(settlement.proveShares(HARBOUR, HOUR, nobody(), none(), sales));
        vm.stopPrank();
        first[0] = trades[0];
        vm.expectEmit(address(settlement));
        emit ISettlement.SettlementStep(HARBOUR, HOUR, 1, address(this), 0, 1);
        settlement.proveShares(HARBOUR, HOUR, nobody(), first, noSales());
        bytes32 commitment = keccak256(abi.encode(nobody(), uint256(3_000)));
        vm.expectRevert(abi.encodeWithSelector(ISettlement.CutChanged.selector, commitment));
        settlement.proveShares(HARBOUR, HOUR, Cut(5, 0), none(), sales);
        first[0] = trades[1];
        settlement.proveShares(HARBOUR, HOUR, nobody(), first, noSales());
        assertTrue(settlement.proveShares(HARBOUR, HOUR, nobody(), none(), sales));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(ISettlement.AlreadySettled.selector, HARBOUR, HOUR));
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
        assertEq(uint256(settlement.sellerHour(HARBOUR, HOUR).steps), 3);
    }

    function test_a_step_without_trades_drops_what_was_shown() public {
        (BilateralTrade[] memory trades, Sale[] memory sales) = _three();
        meter(HARBOUR, HOUR, 3_000);
        toFinality();
        settlement.proveShares(HARBOUR, HOUR, nobody(), none(), sales);
        assertFalse(settlement.proveShares(HARBOUR, HOUR, nobody(), none(), noSales()));
        settlement.proveShares(HARBOUR, HOUR, nobody(), trades, noSales());
        assertTrue(settlement.proveShares(HARBOUR, HOUR, nobody(), none(), sales));
        settlement.payShares(HARBOUR, HOUR, trades, noSales());
        settlement.payShares(HARBOUR, HOUR, none(), sales);
        _assertPaid(300_000, -200_000);
    }

    // --- gas ---------------------------------------------------------------------------------------------------------

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_gas_of_one_bilateral_trade() public {
        BilateralTrade[] memory trades = _one(1_000, PRICE);
        meter(HARBOUR, HOUR, 1_000);
        toFinality();
        _settle(trades);
        vm.snapshotGasLastCall("Settlement", "settle_bilateral");
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_gas_of_sales() public {
        Sale[] memory sales = new Sale[](1);
        sales[0] = saleOf(HARBOUR, HILL, false, 1_000, 0);
        meter(HARBOUR, HOUR, 5_000);
        toFinality();
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
        vm.snapshotGasLastCall("Settlement", "settle_sale");
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_gas_of_a_hundred_trades() public {
        uint256 count = 100;
        Sale[] memory sales = new Sale[](1);
        sales[0].offer = order(HARBOUR, false, false, uint32(10 * count));
        market.fill(sales[0].offer, uint32(10 * count), 0);
        sales[0].bids = new Order[](count);
        for (uint256 i = 0; i < count; ++i) {
            sales[0].bids[i] = order(i % 2 == 0 ? VALLEY : HILL, true, false, 10);
            market.fill(sales[0].bids[i], 10, uint64(10 * i));
        }
        meter(HARBOUR, HOUR, 1_000);
        toFinality();
        settlement.settle(HARBOUR, HOUR, nobody(), none(), sales);
        vm.snapshotGasLastCall("Settlement", "settle_sale_of_100_bids");
    }
}

/// @notice A market that publishes imbalance prices until the day is final.
contract SettlementAtTheDeadlineTest is SettlementFixture {
    function imbalanceSeconds() internal pure override returns (uint32) {
        return uint32(FINALITY);
    }

    function test_waits_as_long_as_the_imbalance_price_can_be_published() public {
        BilateralTrade[] memory trades = new BilateralTrade[](1);
        trades[0] = bilateral(HARBOUR, HILL, false, 1_000, 100_000);
        toFinality();
        vm.expectRevert(abi.encodeWithSelector(ISettlement.ImbalanceUnknown.selector, HOUR));
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
        warpTo(time + 1);
        settlement.settle(HARBOUR, HOUR, nobody(), trades, noSales());
    }

    function test_only_where_escrow_and_claims_name_it() public {
        bytes memory arguments = abi.encode(registry, ledger, rules, escrow, claims, address(market));
        bytes memory code = bytes.concat(vm.getCode("abi/Settlement.json"), arguments);
        address created;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        assertEq(created, address(0));
    }
}
