// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { IClaims } from "contracts/interfaces/IClaims.sol";
import { IEscrow } from "contracts/interfaces/IEscrow.sol";
import { Adjustment } from "contracts/interfaces/ILedger.sol";
import { IMarketRules, Terms } from "contracts/interfaces/IMarketRules.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { ISettlement, Sale } from "contracts/interfaces/ISettlement.sol";
import { PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { BilateralTrade, Cut, Order, OrderState, OrderStatus } from "contracts/types/Trade.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";
import { PlainSettlement } from "testing/PlainSettlement.sol";

interface IMint {
    function mint(address to, uint256 amount) external;
}

/// @notice A market whose cleared books the test writes, so that every hour can be tried, the strangest ones too; it holds the money of
/// orders and opens their attributes as Market does. With the real Market: SettlementInvariant.t.sol.
contract MarketDouble {
    IRegistry private immutable REGISTRY;
    IEscrow private immutable ESCROW;
    IClaims private immutable CLAIMS;
    uint256 private immutable BOND_RATE;

    mapping(bytes32 => OrderState) private orders_;
    mapping(bytes32 => bool) private registered_;
    mapping(bytes32 => uint64) private boughtBefore_;
    mapping(bytes32 => mapping(uint32 => uint256)) public soldWh;
    mapping(bytes32 => mapping(uint32 => uint256)) public boughtWithAttributesWh;
    mapping(uint256 => bool) private incomplete_;
    mapping(uint64 => uint32) public priceMicroEurPerKwh;

    constructor(IRegistry registry, IEscrow escrow, IClaims claims, uint256 bondRate) {
        (REGISTRY, ESCROW, CLAIMS, BOND_RATE) = (registry, escrow, claims, bondRate);
    }

    // --- what the test writes ----------------------------------------------------------------------------------------

    function clear(uint64 book, uint32 price) external {
        priceMicroEurPerKwh[book] = price;
    }

    function setFillsComplete(uint32 hour, bool complete) external {
        incomplete_[hour] = !complete;
    }

    function fill(Order calldata order, uint32 fillWh, uint64 startWh) external {
        uint32 hour = order.hour;
        uint64 before = order.isBid && order.withAttributes ? _bought(order.districtId, hour, fillWh) : 0;
        orders_[hashOrder(order)] = OrderState(OrderStatus.Applied, fillWh, startWh, before);
        if (!order.isBid) soldWh[order.districtId][hour] += fillWh;
        uint256 price = priceMicroEurPerKwh[uint64(hour) * 2 + (order.withAttributes ? 1 : 0)];
        _hold(order.districtId, fillWh, order.isBid ? price : BOND_RATE);
        if (order.withAttributes) CLAIMS.openAttributes(order.districtId, hour, fillWh);
    }

    function setStatus(Order calldata order, OrderStatus status) external {
        orders_[hashOrder(order)].status = status;
    }

    function register(BilateralTrade calldata trade) external {
        bytes32 id = hashTrade(trade);
        registered_[id] = true;
        soldWh[trade.sellerDistrictId][trade.hour] += trade.quantityWh;
        _hold(trade.sellerDistrictId, trade.quantityWh, BOND_RATE);
        _hold(trade.buyerDistrictId, trade.quantityWh, trade.priceMicroEurPerKwh);
        if (!trade.withAttributes) return;
        boughtBefore_[id] = _bought(trade.buyerDistrictId, trade.hour, trade.quantityWh);
        CLAIMS.openAttributes(trade.sellerDistrictId, trade.hour, trade.quantityWh);
        CLAIMS.openAttributes(trade.buyerDistrictId, trade.hour, trade.quantityWh);
    }

    function _bought(bytes32 districtId, uint32 hour, uint256 quantityWh) private returns (uint64 before) {
        before = uint64(boughtWithAttributesWh[districtId][hour]);
        boughtWithAttributesWh[districtId][hour] = before + quantityWh;
    }

    function _hold(bytes32 districtId, uint256 quantityWh, uint256 price) private {
        ESCROW.hold(REGISTRY.district(districtId).ownerOrg, (quantityWh * price + 999) / 1000);
    }

    // --- what Settlement reads ---------------------------------------------------------------------------------------

    function hashOrder(Order calldata order) public pure returns (bytes32) {
        return keccak256(abi.encode(order));
    }

    function hashTrade(BilateralTrade calldata trade) public pure returns (bytes32) {
        return keccak256(abi.encode(trade));
    }

    function orderState(bytes32 orderHash) external view returns (OrderState memory) {
        return orders_[orderHash];
    }

    function tradeState(bytes32 tradeHash) external view returns (bool, uint64) {
        return (registered_[tradeHash], boughtBefore_[tradeHash]);
    }

    function fillsComplete(uint32 hour) external view returns (bool) {
        return !incomplete_[hour];
    }
}

/// @notice Harbour sells to hill and valley: real Registry, Ledger, rules, Escrow, Claims and Settlement over a market double.
abstract contract SettlementFixture is LedgerFixture {
    bytes32 internal constant VALLEY = "valley";
    bytes32 internal constant VALLEY_GATEWAY = "valley-plant";
    uint256 internal constant HILL_KEY = 0xB1;
    uint256 internal constant VALLEY_KEY = 0xB2;
    uint256 internal constant HILL_OPERATOR_KEY = 0x0FF;
    uint256 internal constant BETA = 500_000;
    uint256 internal constant WEALTH = 1_000_000e6;
    uint32 internal constant HOUR = DAY * 24 + 10;
    bytes32[3] internal owners = [bytes32("harbour-owners"), "hill-owners", "valley-owners"];

    IMarketRules internal rules;
    IERC20 internal token;
    IEscrow internal escrow;
    MarketDouble internal market;
    ISettlement internal settlement;
    address internal immutable flexibility = _account("flexibility");
    mapping(bytes32 => uint8) private sequences_;
    uint64 private nonce_;

    function setUp() public virtual override {
        super.setUp();
        vm.startPrank(administrator);
        registry.registerOrganisation("valley-owners", "Owners of the valley");
        registry.registerDistrict(VALLEY, ZONE, "valley-owners", "hill-metering", 5);
        registry.enrol(vm.addr(HILL_OPERATOR_KEY), "hill-metering", registry.METER_OPERATOR());
        registry.enrol(vm.addr(0x511), "hill-owners", registry.DISTRICT_OWNER());
        registry.enrol(vm.addr(0x512), "valley-owners", registry.DISTRICT_OWNER());
        vm.stopPrank();
        vm.startPrank(hillOperator);
        registry.registerGateway(VALLEY_GATEWAY, VALLEY, vm.addr(VALLEY_KEY));
        registry.rotateKey(HILL_GATEWAY, vm.addr(HILL_KEY));
        registry.publishBoundary(HILL, DAY, changes(change(HILL_GATEWAY, _points("HILL"))));
        registry.publishBoundary(VALLEY, DAY, changes(change(VALLEY_GATEWAY, _points("VALLEY"))));
        vm.stopPrank();
        publish(DAY, changes(change(PLANT, _points("HARBOUR"))));
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(administrator);
            IMint(address(token)).mint(address(this), WEALTH);
            token.approve(address(escrow), WEALTH);
            escrow.deposit(owners[i], WEALTH);
        }
    }

    function _points(string memory name) private pure returns (PointDeclaration[] memory) {
        return points(
            point(bytes32(abi.encodePacked(name, "-GRID")), Kind.GRID, 1_000_000),
            point(bytes32(abi.encodePacked(name, "-PV")), Kind.GENERATION, 1_000_000),
            point(bytes32(abi.encodePacked(name, "-LOAD")), Kind.LOAD, 1_000_000)
        );
    }

    function _deployClaims() internal override returns (IClaims result) {
        Terms memory terms = Terms("grid", 1 hours, 1 hours, imbalanceSeconds(), uint32(BETA), 100, 200, 50);
        rules = IMarketRules(deploy("MarketRules", abi.encode(registry, ledger, terms)));
        token = IERC20(deploy("SettlementToken", abi.encode(registry)));
        uint256 nonce = vm.getNonce(address(this));
        address marketAt = vm.computeCreateAddress(address(this), nonce + 2);
        address settlementAt = vm.computeCreateAddress(address(this), nonce + 3);
        result = IClaims(deploy("Claims", abi.encode(registry, ledger, rules, marketAt, settlementAt, flexibility)));
        escrow = IEscrow(deploy("Escrow", abi.encode(token, registry, marketAt, settlementAt, flexibility)));
        market = new MarketDouble(registry, escrow, result, BETA);
        settlement =
            ISettlement(deploy("Settlement", abi.encode(registry, ledger, rules, escrow, result, address(market))));
    }

    function imbalanceSeconds() internal pure virtual returns (uint32) {
        return 5 days;
    }

    // --- metered hours -----------------------------------------------------------------------------------------------

    /// @notice Harbour's, hill's or valley's net export of the hour (negative: import), with 100 Wh of consumption or production beside.
    function meter(bytes32 districtId, uint32 hour, int256 netExportWh) internal {
        meterWith(districtId, hour, hourRecords(netExportWh));
    }

    function meterWith(bytes32 districtId, uint32 hour, bytes memory records) internal {
        (bytes32 gatewayId, uint256 key) = _gateway(districtId);
        uint256 closed = (uint256(hour) + 1) * 1 hours;
        if (time < closed) warpTo(closed);
        uint8 sequence = ++sequences_[gatewayId];
        record(key, batch(gatewayId, hour / 24, sequence, 0, abi.encodePacked(uint8(hour % 24), records)));
    }

    /// @notice After finality, both signatures; `replaces` 0 for a late first record.
    function adjustHour(bytes32 districtId, uint32 hour, uint8 replaces, int256 former, int256 netExportWh) internal {
        (bytes32 gatewayId,) = _gateway(districtId);
        Adjustment memory a = Adjustment(
            gatewayId,
            hour / 24,
            ++sequences_[gatewayId],
            replaces,
            false,
            "reason",
            0,
            abi.encodePacked(uint8(hour % 24), hourRecords(netExportWh))
        );
        bytes memory old = replaces == 0 ? bytes("") : abi.encodePacked(uint8(hour % 24), hourRecords(former));
        uint256 operatorKey = districtId == HARBOUR ? OPERATOR_KEY : HILL_OPERATOR_KEY;
        ledger.adjust(a, old, sign(operatorKey, a), sign(AUDITOR_KEY, a));
    }

    function lastSequence(bytes32 districtId) internal view returns (uint8) {
        (bytes32 gatewayId,) = _gateway(districtId);
        return sequences_[gatewayId];
    }

    function hourRecords(int256 netExportWh) internal pure returns (bytes memory) {
        uint256 size = uint256(netExportWh < 0 ? -netExportWh : netExportWh);
        return netExportWh < 0
            ? abi.encodePacked(measured(size, 0), measured(100, 0), measured(0, size + 100))
            : abi.encodePacked(measured(0, size), measured(size + 100, 0), measured(0, 100));
    }

    function _gateway(bytes32 districtId) private pure returns (bytes32 gatewayId, uint256 key) {
        if (districtId == HARBOUR) return (PLANT, PLANT_KEY);
        return districtId == HILL ? (HILL_GATEWAY, HILL_KEY) : (VALLEY_GATEWAY, VALLEY_KEY);
    }

    function toFinality() internal {
        warpTo(_finalityOf(DAY));
    }

    function publishImbalance(uint32 hour, uint32 price) internal {
        uint32[] memory prices = new uint32[](1);
        prices[0] = price;
        if (time < (uint256(hour) + 1) * 1 hours) warpTo((uint256(hour) + 1) * 1 hours);
        vm.prank(publisher);
        rules.publishImbalance(hour, prices);
    }

    // --- trades ------------------------------------------------------------------------------------------------------

    function order(bytes32 districtId, bool isBid, bool withAttributes, uint32 quantityWh)
        internal
        returns (Order memory)
    {
        return Order(districtId, HOUR, withAttributes, isBid, quantityWh, 0, ++nonce_, 0, 0);
    }

    function bilateral(bytes32 sellerId, bytes32 buyerId, bool withAttributes, uint32 quantityWh, uint32 price)
        internal
        returns (BilateralTrade memory trade)
    {
        trade = BilateralTrade(sellerId, buyerId, HOUR, withAttributes, quantityWh, price, ++nonce_, 0);
        market.register(trade);
    }

    /// @notice A trade of its own: an offer and a bid that meet at `startWh` of the axis.
    function saleOf(bytes32 sellerId, bytes32 buyerId, bool withAttributes, uint32 quantityWh, uint64 startWh)
        internal
        returns (Sale memory sale)
    {
        sale.offer = order(sellerId, false, withAttributes, quantityWh);
        sale.bids = new Order[](1);
        sale.bids[0] = order(buyerId, true, withAttributes, quantityWh);
        market.fill(sale.offer, quantityWh, startWh);
        market.fill(sale.bids[0], quantityWh, startWh);
    }

    function idOf(Sale memory sale, uint256 bid) internal view returns (bytes32) {
        return keccak256(abi.encode(market.hashOrder(sale.offer), market.hashOrder(sale.bids[bid])));
    }

    function sorted(BilateralTrade[] memory list) internal view returns (BilateralTrade[] memory) {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 k = i; k > 0 && market.hashTrade(list[k]) < market.hashTrade(list[k - 1]); --k) {
                (list[k], list[k - 1]) = (list[k - 1], list[k]);
            }
        }
        return list;
    }

    function sorted(Sale[] memory list) internal view returns (Sale[] memory) {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 k = i; k > 0 && market.hashOrder(list[k].offer) < market.hashOrder(list[k - 1].offer); --k) {
                (list[k], list[k - 1]) = (list[k - 1], list[k]);
            }
        }
        return list;
    }

    function nobody() internal pure returns (Cut memory) {
        return Cut(type(uint128).max, 0);
    }

    function cutOf(uint256[] memory quantities, bytes32[] memory ids, uint256 availableWh)
        internal
        pure
        returns (Cut memory cut)
    {
        (, cut) = PlainSettlement.shares(quantities, ids, availableWh);
    }

    // --- money -------------------------------------------------------------------------------------------------------

    function freeOf(bytes32 org) internal view returns (int256) {
        return int256(escrow.free(org)) - int256(WEALTH);
    }

    function heldOf(bytes32 org) internal view returns (uint256) {
        return escrow.held(org, false);
    }

    /// @notice Nothing appears, nothing vanishes.
    function assertMoneyIsWhole() internal view {
        uint256 sum = 0;
        for (uint256 i = 0; i < 3; ++i) {
            sum += escrow.free(owners[i]) + escrow.held(owners[i], false) + escrow.held(owners[i], true);
        }
        assertEq(sum, 3 * WEALTH);
        assertEq(escrow.total(), 3 * WEALTH);
        assertEq(token.balanceOf(address(escrow)), 3 * WEALTH);
    }

    function none() internal pure returns (BilateralTrade[] memory) {
        return new BilateralTrade[](0);
    }

    function noSales() internal pure returns (Sale[] memory) {
        return new Sale[](0);
    }
}
