// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IClaims, HourClaims } from "contracts/interfaces/IClaims.sol";
import { Adjustment } from "contracts/interfaces/ILedger.sol";
import { ISettlement, Sale, SellerHour, SettlementStatus } from "contracts/interfaces/ISettlement.sol";
import { PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { BilateralTrade, Cut, Order, OrderState, OrderStatus, Outcome } from "contracts/types/Trade.sol";
import { ForgeTest } from "testing/ForgeTest.sol";
import { MarketFixture } from "testing/MarketFixture.sol";
import { Entry, PlainClearing } from "testing/PlainClearing.sol";
import { PlainSettlement } from "testing/PlainSettlement.sol";

/// @notice An hour of three districts over the real contracts: they sell to each other in both books and bilaterally, and declare
/// certificates; the books are cleared, the hours metered, or not; after finality the hours are settled at once or in steps, and adjusted
/// and followed up, in any order.
contract SettlementHandler is MarketFixture {
    uint256 private constant HILL_KEY = 0xB1;
    uint256 private constant VALLEY_KEY = 0xB2;
    bytes32 private constant VALLEY_GATEWAY = "valley-plant";
    uint256 private constant IMBALANCE = 150_000;

    /// @dev What settlement needs of a trade, in the order in which it is shown.
    struct Shown {
        bytes32[] ids;
        uint256[] quantities;
        uint256[] prices;
        bytes32[] buyers;
        BilateralTrade[] trades;
        Sale[] sales;
    }

    ISettlement public settlement;
    bytes32[3] private districts = [HARBOUR, HILL, VALLEY];
    bytes32[3] private owners = [HARBOUR_OWNERS, HILL_OWNERS, VALLEY_OWNERS];
    bytes32[3] private gateways = [PLANT, HILL_GATEWAY, VALLEY_GATEWAY];
    uint256[3] private keys = [PLANT_KEY, HILL_KEY, VALLEY_KEY];
    Order[] private orders_;
    BilateralTrade[] private trades_;
    /// 0 trading, 1 cleared, 2 metered, 3 final.
    uint256 public phase;
    uint8[3] private sequence;
    bytes[3] private payload;
    /// Something was adjusted since it was settled.
    bool[3] private changed;

    uint256 public settled;
    uint256 public steps;
    uint256 public followed;
    uint256 public shortfalls;

    function start() external {
        setUp();
        vm.startPrank(operator);
        registry.registerGateway(VALLEY_GATEWAY, VALLEY, vm.addr(VALLEY_KEY));
        registry.publishBoundary(HARBOUR, DAY + 1, changes(change(PLANT, _points("HARBOUR"))));
        registry.publishBoundary(VALLEY, DAY + 1, changes(change(VALLEY_GATEWAY, _points("VALLEY"))));
        vm.stopPrank();
        vm.startPrank(hillOperator);
        registry.rotateKey(HILL_GATEWAY, vm.addr(HILL_KEY));
        registry.publishBoundary(HILL, DAY + 1, changes(change(HILL_GATEWAY, _points("HILL"))));
        vm.stopPrank();
        vm.startPrank(administrator);
        registry.enrol(vm.addr(OPERATOR_KEY + 1), "hill-metering", registry.METER_OPERATOR());
        vm.stopPrank();
        warpTo(CLOSES_AT - 6 hours);
    }

    function _deployClaims() internal override returns (IClaims) {
        _deployMarket(terms(), address(0));
        settlement = ISettlement(deploy("Settlement", abi.encode(registry, ledger, rules, escrow, claims, market)));
        return claims;
    }

    function _points(string memory name) private pure returns (PointDeclaration[] memory) {
        return points(
            point(bytes32(abi.encodePacked(name, "-GRID")), Kind.GRID, 20_000),
            point(bytes32(abi.encodePacked(name, "-PV")), Kind.GENERATION, 20_000),
            point(bytes32(abi.encodePacked(name, "-LOAD")), Kind.LOAD, 20_000)
        );
    }

    // --- what may happen ---------------------------------------------------------------------------------------------

    /// The harbour and the valley mostly offer, the hill mostly bids.
    function place(uint256 seed) external {
        if (phase != 0 || orders_.length >= 14) return;
        uint256 d = seed % 3;
        bool isBid = (d == 1) == ((seed >> 4) % 5 != 0);
        Order memory o = order(districts[d], isBid, uint32(1 + (seed >> 16) % 3_000), 0);
        o.priceMicroEurPerKwh = uint32((seed >> 40) % 5) * 33_333;
        o.withAttributes = (seed >> 56) % 2 == 0;
        bytes memory data = abi.encodeCall(market.placeOrder, (o, _sign(keyOf(o.districtId), hashOf(o))));
        (bool accepted,) = address(market).call(data);
        if (accepted) orders_.push(o);
    }

    function agree(uint256 seed) external {
        if (phase != 0 || trades_.length >= 5) return;
        uint256 d = seed % 3;
        BilateralTrade memory t =
            trade(districts[d], districts[(d + 1 + (seed >> 8) % 2) % 3], uint32(1 + (seed >> 16) % 3_000), 77_777);
        t.withAttributes = (seed >> 56) % 2 == 0;
        register(t);
        trades_.push(t);
    }

    function certify(uint256 seed) external {
        if (phase != 0 || seed % 3 != 0) return;
        vm.prank(harbourOwner);
        claims.declareExternal(HARBOUR, HOUR, uint32((seed >> 8) % 1_500), 0);
    }

    /// The hour goes on: cleared, then metered, then final.
    function pass(uint256 seed) external {
        if (phase == 3) return;
        if (phase == 0) {
            warpTo(CLOSES_AT);
            _clear(PLAIN);
            _clear(WITH_ATTRIBUTES);
        } else if (phase == 1) {
            warpTo((uint256(HOUR) + 1) * 1 hours);
            for (uint256 d = 0; d < 3; ++d) {
                if ((seed >> (8 * d)) % 5 == 0) continue;
                payload[d] = _records(uint256(keccak256(abi.encode(seed, d))));
                sequence[d] = 1;
                record(keys[d], batch(gateways[d], HOUR / 24, 1, 0, payload[d]));
            }
            uint32[] memory prices = new uint32[](1);
            prices[0] = uint32(IMBALANCE);
            vm.prank(publisher);
            rules.publishImbalance(HOUR, prices);
        } else {
            warpTo(_finalityOf(HOUR / 24));
        }
        ++phase;
    }

    /// @dev What is exported or imported; now and then a record is missing or energy is not conserved.
    function _records(uint256 r) private pure returns (bytes memory) {
        uint256 produced = (r >> 8) % 4_000;
        uint256 consumed = (r >> 40) % 4_000;
        uint256 net = produced > consumed ? produced - consumed : consumed - produced;
        bytes memory grid = produced > consumed ? measured(0, net) : measured(net, 0);
        bytes memory load = r % 8 == 0 ? rec(MISSING, 0, 0) : measured(0, consumed + (r % 8 == 1 ? 2_000 : 0));
        return abi.encodePacked(uint8(HOUR % 24), grid, measured(produced, 0), load);
    }

    function _clear(uint64 book) private {
        Entry[] memory bids = _entries(book, true);
        Entry[] memory offers = _entries(book, false);
        (Outcome memory outcome,,) = PlainClearing.clear(bids, offers);
        if (bids.length + offers.length != 0) market.clear(book, outcome, _hashes(bids), _hashes(offers));
    }

    function _entries(uint64 book, bool isBid) private view returns (Entry[] memory entries) {
        Entry[] memory all = new Entry[](orders_.length);
        uint256 count = 0;
        for (uint256 i = 0; i < all.length; ++i) {
            Order memory o = orders_[i];
            if (o.withAttributes != (book == WITH_ATTRIBUTES) || o.isBid != isBid) continue;
            all[count++] = Entry(hashOf(o), o.priceMicroEurPerKwh, o.quantityWh);
        }
        entries = new Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            entries[i] = all[i];
        }
        PlainClearing.sort(entries, isBid);
    }

    function _hashes(Entry[] memory entries) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](entries.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = entries[i].id;
        }
    }

    /// Adjusts a final hour.
    function adjust(uint256 seed) external {
        uint256 d = seed % 3;
        if (phase != 3 || sequence[d] >= 20) return;
        bytes memory changedPayload = _records(uint256(keccak256(abi.encode(seed))));
        Adjustment memory a =
            Adjustment(gateways[d], HOUR / 24, sequence[d] + 1, sequence[d], false, "late", 0, changedPayload);
        ledger.adjust(a, payload[d], sign(d == 1 ? OPERATOR_KEY + 1 : OPERATOR_KEY, a), sign(AUDITOR_KEY, a));
        ++sequence[d];
        payload[d] = changedPayload;
        for (uint256 s = 0; s < 3; ++s) {
            changed[s] = true;
        }
    }

    /// Settles a seller's hour, or follows up: all at once, or proven in steps, some of which are paid later.
    function settle(uint256 seed) public {
        if (phase != 3) return;
        uint256 d = seed % 3;
        Shown memory shown = shownOf(d);
        if (shown.ids.length == 0) {
            changed[d] = false;
            return;
        }
        SellerHour memory state = settlement.sellerHour(districts[d], HOUR);
        if (state.status == SettlementStatus.Proven) {
            _pay(d, shown, (seed >> 8) % 4);
            return;
        }
        uint256 availableWh = certifiedWh(d);
        (uint256[] memory delivered, Cut memory cut) = PlainSettlement.shares(shown.quantities, shown.ids, availableWh);
        if (delivered[0] < shown.quantities[0]) ++shortfalls;
        bool atOnce = (seed >> 16) % 2 == 0;
        bytes memory data = atOnce
            ? abi.encodeCall(settlement.settle, (districts[d], HOUR, cut, shown.trades, shown.sales))
            : abi.encodeCall(settlement.proveShares, (districts[d], HOUR, cut, shown.trades, shown.sales));
        (bool accepted, bytes memory reason) = address(settlement).call(data);
        if (!accepted) {
            // The only reason that may be: there is nothing to follow up.
            require(bytes4(reason) == ISettlement.NothingChanged.selector && state.round > 0, "refused");
        } else if (state.round > 0) {
            ++followed;
        } else {
            ++settled;
        }
        // What is proven moves attributes when it is paid.
        if (atOnce || !accepted) changed[d] = false;
        else _pay(d, shown, (seed >> 8) % 2);
    }

    function _pay(uint256 d, Shown memory shown, uint256 most) private {
        if (most == 0) return;
        settlement.payShares(districts[d], HOUR, shown.trades, shown.sales);
        ++steps;
    }

    // --- what was traded ---------------------------------------------------------------------------------------------

    function shownOf(uint256 d) public view returns (Shown memory shown) {
        bytes32 seller = districts[d];
        shown.ids = new bytes32[](100);
        shown.quantities = new uint256[](100);
        shown.prices = new uint256[](100);
        shown.buyers = new bytes32[](100);
        uint256 count = 0;
        shown.trades = _tradesOf(seller);
        for (uint256 i = 0; i < shown.trades.length; ++i) {
            BilateralTrade memory t = shown.trades[i];
            _add(shown, count++, hashOf(t), t.quantityWh, t.priceMicroEurPerKwh, t.buyerDistrictId);
        }
        Order[] memory offers = _offersOf(seller);
        shown.sales = new Sale[](offers.length);
        for (uint256 i = 0; i < offers.length; ++i) {
            shown.sales[i].offer = offers[i];
            (shown.sales[i].bids, count) = _bidsOf(offers[i], shown, count);
        }
        (bytes32[] memory ids, uint256[] memory quantities) = (shown.ids, shown.quantities);
        assembly ("memory-safe") {
            mstore(ids, count)
            mstore(quantities, count)
        }
    }

    function _add(Shown memory shown, uint256 index, bytes32 id, uint256 quantityWh, uint256 price, bytes32 buyer)
        private
        pure
    {
        (shown.ids[index], shown.quantities[index], shown.prices[index], shown.buyers[index]) =
        (id, quantityWh, price, buyer);
    }

    function _tradesOf(bytes32 seller) private view returns (BilateralTrade[] memory list) {
        uint256 count = 0;
        BilateralTrade[] memory all = new BilateralTrade[](trades_.length);
        for (uint256 i = 0; i < all.length; ++i) {
            if (trades_[i].sellerDistrictId != seller) continue;
            uint256 k = count++;
            all[k] = trades_[i];
            for (; k > 0 && hashOf(all[k]) < hashOf(all[k - 1]); --k) {
                (all[k], all[k - 1]) = (all[k - 1], all[k]);
            }
        }
        list = new BilateralTrade[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = all[i];
        }
    }

    function _offersOf(bytes32 seller) private view returns (Order[] memory list) {
        uint256 count = 0;
        Order[] memory all = new Order[](orders_.length);
        for (uint256 i = 0; i < all.length; ++i) {
            if (orders_[i].isBid || orders_[i].districtId != seller) continue;
            if (market.orderState(hashOf(orders_[i])).fillWh == 0) continue;
            uint256 k = count++;
            all[k] = orders_[i];
            for (; k > 0 && hashOf(all[k]) < hashOf(all[k - 1]); --k) {
                (all[k], all[k - 1]) = (all[k - 1], all[k]);
            }
        }
        list = new Order[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = all[i];
        }
    }

    /// @dev By walking along the axis, Wh after Wh to the end of a bid.
    function _bidsOf(Order memory offer, Shown memory shown, uint256 count)
        private
        view
        returns (Order[] memory bids, uint256)
    {
        OrderState memory state = market.orderState(hashOf(offer));
        Order[] memory all = new Order[](orders_.length);
        uint256 found = 0;
        uint256 place_ = state.startWh;
        uint256 end = place_ + state.fillWh;
        uint256 price = market.priceMicroEurPerKwh(offer.withAttributes ? WITH_ATTRIBUTES : PLAIN);
        while (place_ < end) {
            (Order memory bid, uint256 bidEnd) = _bidAt(offer.withAttributes, place_);
            if (bidEnd > end) bidEnd = end;
            all[found++] = bid;
            bytes32 id = keccak256(abi.encode(hashOf(offer), hashOf(bid)));
            _add(shown, count++, id, bidEnd - place_, price, bid.districtId);
            place_ = bidEnd;
        }
        bids = new Order[](found);
        for (uint256 i = 0; i < found; ++i) {
            bids[i] = all[i];
        }
        return (bids, count);
    }

    function _bidAt(bool withAttributes, uint256 place_) private view returns (Order memory, uint256 end) {
        for (uint256 i = 0; i < orders_.length; ++i) {
            Order memory o = orders_[i];
            if (!o.isBid || o.withAttributes != withAttributes) continue;
            OrderState memory state = market.orderState(hashOf(o));
            end = uint256(state.startWh) + state.fillWh;
            if (state.status == OrderStatus.Applied && state.startWh <= place_ && place_ < end) return (o, end);
        }
        revert("nobody buys there");
    }

    /// @notice C by the records that hold: net export of an hour that is whole and conserved, less certificates.
    function certifiedWh(uint256 d) public view returns (uint256) {
        int256 net = netExportOf(d);
        if (net <= 0) return 0;
        uint256 externalWh = claims.hourClaims(districts[d], HOUR).externalWh;
        return uint256(net) > externalWh ? uint256(net) - externalWh : 0;
    }

    /// @notice Of a complete hour, else 0.
    function netExportOf(uint256 d) public view returns (int256) {
        bytes memory p = payload[d];
        if (p.length == 0) return 0;
        (int256 imported, int256 exported, int256 produced) = (_energy(p, 1), _energy(p, 5), _energy(p, 9));
        int256 consumed = _energy(p, 21);
        // Missing: the two highest bits of the load's record.
        if (consumed < 0 || uint8(p[17]) >> 7 == 1) return 0;
        int256 gap = produced + imported - consumed - exported;
        if (gap < 0) gap = -gap;
        int256 supplied = produced + imported;
        int256 drawn = consumed + exported;
        int256 larger = supplied > drawn ? supplied : drawn;
        return gap <= 50 || gap * 100 <= 2 * larger ? exported - imported : int256(0);
    }

    function _energy(bytes memory p, uint256 index) private pure returns (int256) {
        uint256 value = (uint256(uint8(p[index])) << 24) | (uint256(uint8(p[index + 1])) << 16)
            | (uint256(uint8(p[index + 2])) << 8) | uint8(p[index + 3]);
        return value >> 31 == 1 ? -int256(1) : int256(value);
    }

    // --- what must hold ----------------------------------------------------------------------------------------------

    /// @notice Every token belongs to somebody.
    function checkMoney() external view {
        uint256 sum = 0;
        for (uint256 i = 0; i < 3; ++i) {
            sum += escrow.free(owners[i]) + escrow.held(owners[i], false) + escrow.held(owners[i], true);
        }
        assertEq(sum, escrow.total(), "sum of accounts");
        assertEq(sum, token.balanceOf(address(escrow)), "token balance");
    }

    /// @notice No kWh is claimed twice: of an hour that was not adjusted since.
    function checkClaims() public view {
        bool settledAll = !(changed[0] || changed[1] || changed[2]);
        for (uint256 d = 0; d < 3; ++d) {
            HourClaims memory c = claims.hourClaims(districts[d], HOUR);
            int256 net = netExportOf(d);
            if (!changed[d] && c.deliveredWh != 0) {
                assertLe(uint256(c.deliveredWh), certifiedWh(d));
                assertLe(int256(uint256(c.deliveredWh)), net);
            }
            assertLe(uint256(c.attributesOutWh), uint256(c.deliveredWh) + (changed[d] ? 4_000 : 0));
            if (settledAll && c.attributesInWh != 0) assertLe(int256(uint256(c.attributesInWh)), -net);
        }
    }

    /// @notice Settles what is left and follows up what changed. In the end nobody holds anything for trades, nothing is open, and each
    /// owner has what the last certified energy gives it, whatever the way there.
    function finish() external {
        while (phase < 3) {
            this.pass(12_345);
        }
        for (uint256 round = 0; round < 3; ++round) {
            for (uint256 d = 0; d < 3; ++d) {
                // Pay what is proven, then settle or follow up at once.
                if (settlement.sellerHour(districts[d], HOUR).status == SettlementStatus.Proven) settle(d + 3 * 256);
                settle(3 * 2 ** 20 + d);
            }
        }
        int256[3] memory expected;
        for (uint256 d = 0; d < 3; ++d) {
            assertTrue(settlement.isSettled(districts[d], HOUR));
            Shown memory shown = shownOf(d);
            if (shown.ids.length == 0) continue;
            (uint256[] memory delivered,) = PlainSettlement.shares(shown.quantities, shown.ids, certifiedWh(d));
            for (uint256 i = 0; i < delivered.length; ++i) {
                int256 gain =
                    PlainSettlement.toSeller(shown.quantities[i], delivered[i], shown.prices[i], IMBALANCE, BOND);
                expected[d] += gain;
                expected[_indexOf(shown.buyers[i])] -= gain;
            }
        }
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(escrow.held(owners[i], false), 0);
            assertEq(int256(escrow.free(owners[i])) - int256(WEALTH), expected[i]);
            (uint256 openWh,) = claims.dayAttributes(districts[i], HOUR / 24);
            assertEq(openWh, 0);
        }
        checkClaims();
    }

    function _indexOf(bytes32 districtId) private view returns (uint256 index) {
        while (districts[index] != districtId) ++index;
    }
}

/// @notice Escrow holds every token, no kWh is claimed twice, and everything settled comes to what its energy is worth.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
/// forge-config: default.invariant.runs = 6
/// forge-config: ci.invariant.runs = 24
contract SettlementInvariantTest is ForgeTest {
    SettlementHandler private handler;

    function setUp() public {
        handler = new SettlementHandler();
        handler.start();
        bytes4[] memory selectors = new bytes4[](10);
        for (uint256 i = 0; i < 3; ++i) {
            selectors[i] = handler.place.selector;
        }
        selectors[3] = handler.agree.selector;
        selectors[4] = handler.certify.selector;
        selectors[5] = handler.pass.selector;
        selectors[6] = handler.settle.selector;
        selectors[7] = handler.settle.selector;
        selectors[8] = handler.adjust.selector;
        selectors[9] = handler.settle.selector;
        targetContract(address(handler));
        targetSelector(address(handler), selectors);
    }

    function invariant_every_token_is_somebodys_and_every_kwh_claimed_once() public view {
        handler.checkMoney();
        handler.checkClaims();
    }

    function afterInvariant() public {
        handler.finish();
        handler.checkMoney();
    }

    function test_random_calls_reach_the_interesting_states() public {
        for (uint256 i = 0; i < 24; ++i) {
            if (i % 4 == 0) handler.agree(uint256(keccak256(abi.encode("agree", i))));
            else handler.place(uint256(keccak256(abi.encode("place", i))));
        }
        for (uint256 i = 0; i < 3; ++i) {
            handler.pass(uint256(keccak256(abi.encode("pass", i))));
        }
        for (uint256 i = 0; i < 60; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("settle", i)));
            if (i % 3 == 2) handler.adjust(seed);
            else handler.settle(seed);
            handler.checkMoney();
            handler.checkClaims();
        }
        handler.finish();
        assertEq(handler.phase(), 3);
        assertTrue(handler.settled() > 1, "settled");
        assertTrue(handler.followed() > 1, "followed up");
        assertTrue(handler.steps() > 1, "in steps");
        assertTrue(handler.shortfalls() > 1, "short");
    }
}
