// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BilateralTrade, Order, OrderState, OrderStatus, Outcome } from "contracts/types/Trade.sol";
import { MarketFixture } from "testing/MarketFixture.sol";
import { Entry, PlainClearing } from "testing/PlainClearing.sol";

/// @notice Three owners, four districts, four books: trades, deposits, clearings and releases in any sequence, and a settlement and a demand
/// response that pay at random. Remembers what was placed, not what became of it.
contract MarketHandler is MarketFixture {
    uint32 private constant HOURS = 2;

    bytes32[4] private districts = [HARBOUR, QUAY, HILL, VALLEY];
    bytes32[3] private owners = [HARBOUR_OWNERS, HILL_OWNERS, VALLEY_OWNERS];
    Order[] private orders_;
    BilateralTrade[] private trades_;
    mapping(bytes32 hash => bool) private isSettled_;
    /// What demand response holds.
    mapping(bytes32 organisationId => uint256) private response_;
    bytes32[][2][4] private steps_;

    function start() external {
        setUp();
        warpTo(CLOSES_AT - 12 hours);
    }

    function _hash(Order memory o) private view returns (bytes32) {
        return market.hashOrder(o);
    }

    function _ownerOf(bytes32 districtId) private pure returns (bytes32) {
        if (districtId == HILL) return HILL_OWNERS;
        return districtId == VALLEY ? VALLEY_OWNERS : HARBOUR_OWNERS;
    }

    function _bookOf(Order memory o) private pure returns (uint64) {
        return uint64(o.hour) * 2 + (o.withAttributes ? 1 : 0);
    }

    function _try(bytes memory data) private returns (bool accepted) {
        (accepted,) = address(market).call(data);
    }

    function place(uint256 seed) external {
        Order memory o = order(districts[seed % 4], (seed >> 8) % 2 == 0, uint32(1 + (seed >> 16) % 5000), 0);
        o.priceMicroEurPerKwh = uint32((seed >> 40) % 4) * 50_000;
        o.hour = HOUR + uint32((seed >> 48) % HOURS);
        o.withAttributes = (seed >> 56) % 2 == 0;
        if ((seed >> 64) % 4 == 0 && orders_.length != 0) {
            Order memory former = orders_[(seed >> 72) % orders_.length];
            o.replaces = _hash(former);
            (o.hour, o.withAttributes) = (former.hour, former.withAttributes);
        }
        if (_try(abi.encodeCall(market.placeOrder, (o, _sign(keyOf(o.districtId), hashOf(o)))))) orders_.push(o);
    }

    function cancel(uint256 seed) external {
        if (orders_.length == 0) return;
        bytes32 orderHash = _hash(orders_[seed % orders_.length]);
        bytes memory signature = _sign(keyOf(orders_[seed % orders_.length].districtId), cancellationOf(orderHash));
        _try(abi.encodeCall(market.cancelOrder, (orderHash, signature)));
    }

    function agree(uint256 seed) external {
        BilateralTrade memory t =
            trade(districts[seed % 4], districts[(seed >> 8) % 4], uint32(1 + (seed >> 16) % 5000), 70_000);
        t.hour = HOUR + uint32((seed >> 48) % HOURS);
        t.withAttributes = (seed >> 56) % 2 == 0;
        bytes memory seller = _sign(keyOf(t.sellerDistrictId), hashOf(t));
        bytes memory buyer = _sign(keyOf(t.buyerDistrictId), hashOf(t));
        if (_try(abi.encodeCall(market.registerTrade, (t, seller, buyer)))) trades_.push(t);
    }

    function pass(uint256 seed) external {
        warpTo(time + [uint256(10 minutes), 1 hours, 4 hours][seed % 3]);
    }

    function _entries(uint64 book, bool isBid) private view returns (Entry[] memory entries) {
        uint256 count = 0;
        Entry[] memory all = new Entry[](orders_.length);
        for (uint256 i = 0; i < all.length; ++i) {
            Order memory o = orders_[i];
            if (_bookOf(o) != book || o.isBid != isBid) continue;
            if (market.orderState(_hash(o)).status != OrderStatus.Live) continue;
            all[count++] = Entry(_hash(o), o.priceMicroEurPerKwh, o.quantityWh);
        }
        entries = new Entry[](count);
        for (uint256 i = 0; i < count; ++i) {
            entries[i] = all[i];
        }
        PlainClearing.sort(entries, isBid);
    }

    function propose(uint256 seed) external {
        uint256 index = seed % 4;
        uint64 book = PLAIN + uint64(index);
        Entry[] memory bids = _entries(book, true);
        Entry[] memory offers = _entries(book, false);
        (Outcome memory outcome,,) = PlainClearing.clear(bids, offers);
        if ((seed >> 8) % 3 == 0) outcome.priceMicroEurPerKwh += 1;
        bytes32[] memory bidHashes = _ids(bids);
        bytes32[] memory offerHashes = _ids(offers);
        if (_try(abi.encodeCall(market.proposeOutcome, (book, outcome, bidHashes, offerHashes)))) {
            require((seed >> 8) % 3 != 0, "a wrong outcome stands");
            (steps_[index][0], steps_[index][1]) = (bidHashes, offerHashes);
        }
    }

    function _ids(Entry[] memory entries) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](entries.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = entries[i].id;
        }
    }

    function apply_(uint256 seed) external {
        uint256 index = seed % 4;
        _try(abi.encodeCall(market.applyOutcome, (PLAIN + uint64(index), steps_[index][0], steps_[index][1])));
    }

    function release(uint256 seed) external {
        if (orders_.length != 0) {
            _try(abi.encodeCall(market.releaseOrder, (_hash(orders_[seed % orders_.length]))));
        }
    }

    /// What a trade holds is paid, or given back, by the settlement.
    function settle(uint256 seed) external {
        if (trades_.length == 0) return;
        BilateralTrade memory t = trades_[seed % trades_.length];
        if (isSettled_[hashOf(t)]) return;
        isSettled_[hashOf(t)] = true;
        (bytes32 seller, bytes32 buyer) = (_ownerOf(t.sellerDistrictId), _ownerOf(t.buyerDistrictId));
        vm.startPrank(settlementAddress);
        escrow.unhold(seller, up(t.quantityWh, BOND));
        escrow.pay(buyer, seller, up(t.quantityWh, t.priceMicroEurPerKwh));
        if ((seed >> 8) % 3 == 0) escrow.owe(seller, buyer, (seed >> 16) % (2 * WEALTH));
        if (t.withAttributes) {
            claims.closeAttributes(t.sellerDistrictId, t.hour, t.quantityWh);
            claims.closeAttributes(t.buyerDistrictId, t.hour, t.quantityWh);
        }
        vm.stopPrank();
    }

    function respond(uint256 seed) external {
        bytes32 organisationId = owners[seed % 3];
        uint256 amount = (seed >> 8) % (WEALTH / 2);
        vm.startPrank(flexibilityAddress);
        if ((seed >> 200) % 2 == 0) {
            (bool accepted,) = address(escrow).call(abi.encodeCall(escrow.hold, (organisationId, amount)));
            if (accepted) response_[organisationId] += amount;
        } else {
            amount %= response_[organisationId] + 1;
            response_[organisationId] -= amount;
            escrow.pay(organisationId, owners[(seed >> 210) % 3], amount);
        }
        vm.stopPrank();
    }

    function bank(uint256 seed) external {
        address account = [harbourOwner, hillOwner, valleyOwner][seed % 3];
        bytes32 organisationId = owners[seed % 3];
        uint256 amount = 1 + (seed >> 8) % WEALTH;
        if ((seed >> 200) % 2 == 0) {
            fund(account, organisationId, amount);
        } else {
            vm.prank(account);
            // Refused when so much is not free.
            try escrow.withdraw(organisationId, amount, account) { } catch { }
        }
    }

    function payDebts(uint256 seed) external {
        (bytes32 debtor, bytes32 creditor) = (owners[seed % 3], owners[(seed >> 8) % 3]);
        if (escrow.debt(debtor, creditor) != 0) escrow.payDebt(debtor, creditor);
    }

    // --- what must hold ----------------------------------------------------------------------------------------------

    /// @notice Every token belongs to somebody, free or held.
    function checkMoney() external view {
        uint256 sum = 0;
        for (uint256 i = 0; i < 3; ++i) {
            sum += escrow.free(owners[i]) + escrow.held(owners[i], false) + escrow.held(owners[i], true);
            assertEq(escrow.held(owners[i], true), response_[owners[i]], "held for demand response");
            uint256 debts = 0;
            for (uint256 j = 0; j < 3; ++j) {
                debts += escrow.debt(owners[i], owners[j]);
            }
            assertEq(escrow.debts(owners[i]), debts, "debts");
        }
        assertEq(sum, escrow.total(), "sum of accounts");
        assertEq(sum, token.balanceOf(address(escrow)), "token balance");
    }

    /// @notice What is held of an owner, and open of a day, is what its orders and trades need; books count their live orders.
    function checkOrders() external view {
        uint256[3] memory held;
        uint256[4] memory openWh;
        uint256[2][4] memory counts;
        uint256[3][2][4] memory sides;
        for (uint256 i = 0; i < orders_.length; ++i) {
            Order memory o = orders_[i];
            OrderState memory state = market.orderState(_hash(o));
            uint64 book = _bookOf(o);
            uint256 owner = _ownerIndex(o.districtId);
            if (state.status == OrderStatus.Live || state.status == OrderStatus.Applied) {
                uint256 quantityWh = state.status == OrderStatus.Live ? o.quantityWh : state.fillWh;
                uint256 rate = BOND;
                if (o.isBid) {
                    rate = state.status == OrderStatus.Live ? o.priceMicroEurPerKwh : market.priceMicroEurPerKwh(book);
                }
                held[owner] += up(quantityWh, rate);
                if (o.withAttributes) openWh[_districtIndex(o.districtId)] += quantityWh;
                ++counts[book - PLAIN][o.isBid ? 0 : 1];
            }
            if (state.status == OrderStatus.Live) ++sides[book - PLAIN][o.isBid ? 0 : 1][owner];
        }
        for (uint256 i = 0; i < trades_.length; ++i) {
            BilateralTrade memory t = trades_[i];
            if (isSettled_[hashOf(t)]) continue;
            held[_ownerIndex(t.sellerDistrictId)] += up(t.quantityWh, BOND);
            held[_ownerIndex(t.buyerDistrictId)] += up(t.quantityWh, t.priceMicroEurPerKwh);
            if (t.withAttributes) {
                openWh[_districtIndex(t.sellerDistrictId)] += t.quantityWh;
                openWh[_districtIndex(t.buyerDistrictId)] += t.quantityWh;
            }
        }
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(escrow.held(owners[i], false), held[i], "held for orders and trades");
        }
        for (uint256 i = 0; i < 4; ++i) {
            (uint256 open,) = claims.dayAttributes(districts[i], HOUR / 24);
            assertEq(open, openWh[i], "open attributes");
            assertEq(uint256(market.book(PLAIN + uint64(i)).bids), counts[i][0], "bids of the book");
            assertEq(uint256(market.book(PLAIN + uint64(i)).offers), counts[i][1], "offers of the book");
            for (uint256 owner = 0; owner < 3; ++owner) {
                assertTrue(sides[i][0][owner] == 0 || sides[i][1][owner] == 0, "an owner on both sides");
            }
        }
    }

    function _ownerIndex(bytes32 districtId) private pure returns (uint256) {
        bytes32 owner = _ownerOf(districtId);
        return owner == HARBOUR_OWNERS ? 0 : owner == HILL_OWNERS ? 1 : 2;
    }

    function _districtIndex(bytes32 districtId) private view returns (uint256 index) {
        while (districts[index] != districtId) ++index;
    }
}

contract MarketInvariantTest is MarketFixture {
    MarketHandler private handler;

    function setUp() public override {
        handler = new MarketHandler();
        handler.start();
        bytes4[] memory selectors = new bytes4[](17);
        for (uint256 i = 0; i < 5; ++i) {
            selectors[i] = handler.place.selector;
        }
        selectors[5] = handler.cancel.selector;
        selectors[6] = handler.agree.selector;
        selectors[7] = handler.pass.selector;
        selectors[8] = handler.pass.selector;
        selectors[9] = handler.propose.selector;
        selectors[10] = handler.propose.selector;
        selectors[11] = handler.apply_.selector;
        selectors[12] = handler.release.selector;
        selectors[13] = handler.settle.selector;
        selectors[14] = handler.respond.selector;
        selectors[15] = handler.bank.selector;
        selectors[16] = handler.payDebts.selector;
        targetContract(address(handler));
        targetSelector(address(handler), selectors);
    }

    /// @dev Both in one, because each invariant is a campaign of its own.
    function invariant_money_is_somebodys_and_held_for_its_orders() public view {
        handler.checkMoney();
        handler.checkOrders();
    }
}
