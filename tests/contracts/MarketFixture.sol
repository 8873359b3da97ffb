// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { IClaims } from "contracts/interfaces/IClaims.sol";
import { IEscrow } from "contracts/interfaces/IEscrow.sol";
import { IMarket } from "contracts/interfaces/IMarket.sol";
import { IMarketRules, Terms } from "contracts/interfaces/IMarketRules.sol";
import { BilateralTrade, BookStatus, Order, OrderState, OrderStatus } from "contracts/types/Trade.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

interface ISettlementToken is IERC20 {
    function mint(address to, uint256 amount) external;
    function decimals() external view returns (uint8);
}

/// @notice The market on top of a whole platform. Three owners with money and four districts with a trading key each: the harbour's
/// owners have two. Messages are hashed and signed here by hand, from the text of their format.
abstract contract MarketFixture is LedgerFixture {
    bytes32 internal constant HARBOUR_OWNERS = "harbour-owners";
    bytes32 internal constant HILL_OWNERS = "hill-owners";
    bytes32 internal constant VALLEY_OWNERS = "valley-owners";
    bytes32 internal constant QUAY = "quay";
    bytes32 internal constant VALLEY = "valley";
    uint256 internal constant OWNER_KEY = 0x0A1;
    uint256 internal constant HILL_OWNER_KEY = 0x0A2;
    uint256 internal constant VALLEY_OWNER_KEY = 0x0A3;
    uint256 internal constant HARBOUR_TRADER = 0x7A1;
    uint256 internal constant HILL_TRADER = 0x7A2;
    uint256 internal constant VALLEY_TRADER = 0x7A3;
    uint256 internal constant QUAY_TRADER = 0x7A4;
    /// @dev An hour of the day after the first one with points, and its books.
    uint32 internal constant HOUR = (DAY + 1) * 24 + 12;
    uint64 internal constant PLAIN = uint64(HOUR) * 2;
    uint64 internal constant WITH_ATTRIBUTES = PLAIN + 1;
    uint256 internal constant CLOSES_AT = uint256(HOUR) * 1 hours - 1 hours;
    uint256 internal constant CLEARED_BY = uint256(HOUR) * 1 hours;
    uint32 internal constant BOND = 500_000;
    uint256 internal constant WEALTH = 1_000_000e6;

    address internal immutable hillOwner = vm.addr(HILL_OWNER_KEY);
    address internal immutable harbourOwner = vm.addr(OWNER_KEY);
    address internal immutable valleyOwner = vm.addr(VALLEY_OWNER_KEY);

    IMarketRules internal rules;
    ISettlementToken internal token;
    IEscrow internal escrow;
    IMarket internal market;
    address internal marketAddress;
    address internal settlementAddress;
    address internal flexibilityAddress;
    uint64 private nonce_;

    function setUp() public virtual override {
        super.setUp();
        vm.startPrank(administrator);
        registry.registerOrganisation(VALLEY_OWNERS, "Owners of the valley");
        registry.registerDistrict(VALLEY, ZONE, VALLEY_OWNERS, "metering", 5);
        registry.registerDistrict(QUAY, ZONE, HARBOUR_OWNERS, "metering", 5);
        registry.enrol(valleyOwner, VALLEY_OWNERS, registry.DISTRICT_OWNER());
        registry.enrol(harbourOwner, HARBOUR_OWNERS, registry.DISTRICT_OWNER());
        registry.enrol(hillOwner, HILL_OWNERS, registry.DISTRICT_OWNER());
        vm.stopPrank();
        fund(harbourOwner, HARBOUR_OWNERS, WEALTH);
        fund(hillOwner, HILL_OWNERS, WEALTH);
        fund(valleyOwner, VALLEY_OWNERS, WEALTH);
        allow(harbourOwner, HARBOUR, HARBOUR_TRADER);
        allow(harbourOwner, QUAY, QUAY_TRADER);
        allow(hillOwner, HILL, HILL_TRADER);
        allow(valleyOwner, VALLEY, VALLEY_TRADER);
    }

    function _deployClaims() internal virtual override returns (IClaims) {
        _deployMarket(terms(), address(0));
        return claims;
    }

    /// @notice The terms of the documentation.
    function terms() internal pure virtual returns (Terms memory) {
        return Terms({
            publisherOrg: "grid",
            gateClosureSeconds: 1 hours,
            clearingSeconds: 1 hours,
            imbalanceSeconds: 5 days,
            bondMicroEurPerKwh: BOND,
            sensitivityWh: 100,
            toleranceBp: 200,
            toleranceWh: 50
        });
    }

    /// @dev Every contract knows the others for ever, so that those created later are named by where they will be.
    /// @param token_ another token than ours, or 0
    function _deployMarket(Terms memory terms_, address token_) internal {
        rules = IMarketRules(deploy("MarketRules", abi.encode(registry, ledger, terms_)));
        token = ISettlementToken(token_ == address(0) ? deploy("SettlementToken", abi.encode(registry)) : token_);
        uint256 nonce = vm.getNonce(address(this));
        marketAddress = vm.computeCreateAddress(address(this), nonce + 2);
        settlementAddress = vm.computeCreateAddress(address(this), nonce + 3);
        flexibilityAddress = vm.computeCreateAddress(address(this), nonce + 4);
        claims = IClaims(
            deploy("Claims", abi.encode(registry, ledger, rules, marketAddress, settlementAddress, flexibilityAddress))
        );
        escrow = IEscrow(
            deploy("Escrow", abi.encode(token, registry, marketAddress, settlementAddress, flexibilityAddress))
        );
        market = IMarket(deploy("Market", abi.encode(registry, rules, escrow, claims)));
    }

    /// @notice Makes tokens and deposits them to an organisation.
    function fund(address account, bytes32 organisationId, uint256 amount) internal {
        vm.prank(administrator);
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(escrow), amount);
        escrow.deposit(organisationId, amount);
        vm.stopPrank();
    }

    function allow(address account, bytes32 districtId, uint256 key) internal {
        vm.prank(account);
        market.setTradingKey(districtId, vm.addr(key), true);
    }

    // --- orders ------------------------------------------------------------------------------------------------------

    /// @notice An order for the plain book of HOUR, never the same twice.
    function order(bytes32 districtId, bool isBid, uint32 quantityWh, uint32 price) internal returns (Order memory o) {
        o.districtId = districtId;
        o.hour = HOUR;
        o.isBid = isBid;
        o.quantityWh = quantityWh;
        o.priceMicroEurPerKwh = price;
        o.nonce = ++nonce_;
        o.expiry = type(uint64).max;
    }

    function trade(bytes32 sellerId, bytes32 buyerId, uint32 quantityWh, uint32 price)
        internal
        returns (BilateralTrade memory)
    {
        return BilateralTrade(sellerId, buyerId, HOUR, false, quantityWh, price, ++nonce_, type(uint64).max);
    }

    function keyOf(bytes32 districtId) internal pure returns (uint256) {
        if (districtId == HARBOUR) return HARBOUR_TRADER;
        if (districtId == QUAY) return QUAY_TRADER;
        return districtId == HILL ? HILL_TRADER : VALLEY_TRADER;
    }

    function place(Order memory o) internal returns (bytes32 orderHash) {
        orderHash = hashOf(o);
        market.placeOrder(o, _sign(keyOf(o.districtId), orderHash));
    }

    function place(bytes32 districtId, bool isBid, uint32 quantityWh, uint32 price) internal returns (bytes32) {
        return place(order(districtId, isBid, quantityWh, price));
    }

    function register(BilateralTrade memory t) internal returns (bytes32 tradeHash) {
        tradeHash = hashOf(t);
        market.registerTrade(t, _sign(keyOf(t.sellerDistrictId), tradeHash), _sign(keyOf(t.buyerDistrictId), tradeHash));
    }

    function hashOf(Order memory o) internal view returns (bytes32) {
        return _marketDigest(structHashOf(o));
    }

    function hashOf(BilateralTrade memory t) internal view returns (bytes32) {
        return _marketDigest(structHashOf(t));
    }

    function structHashOf(Order memory o) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Order(bytes32 districtId,uint32 hour,bool withAttributes,bool isBid,uint32 quantityWh,uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry,bytes32 replaces)"
                ),
                o
            )
        );
    }

    function structHashOf(BilateralTrade memory t) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "BilateralTrade(bytes32 sellerDistrictId,bytes32 buyerDistrictId,uint32 hour,bool withAttributes,uint32 quantityWh,uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry)"
                ),
                t
            )
        );
    }

    function cancellationOf(bytes32 orderHash) internal view returns (bytes32) {
        return _marketDigest(keccak256(abi.encode(keccak256("Cancellation(bytes32 orderHash)"), orderHash)));
    }

    function _marketDigest(bytes32 structHash) internal view returns (bytes32) {
        return _digest("PED Market", block.chainid, address(market), structHash);
    }

    /// @notice ceil(Wh * price / 1000), micro-euro.
    function up(uint256 energyWh, uint256 price) internal pure returns (uint256) {
        return (energyWh * price + 999) / 1000;
    }

    function heldOf(bytes32 organisationId) internal view returns (uint256) {
        return escrow.held(organisationId, false);
    }

    function assertStatus(bytes32 orderHash, OrderStatus status) internal view {
        OrderState memory state = market.orderState(orderHash);
        assertEq(uint256(state.status), uint256(status), "order status");
    }

    function assertBook(uint64 book, BookStatus status, uint256 bids, uint256 offers) internal view {
        assertEq(uint256(market.book(book).status), uint256(status), "book status");
        assertEq(uint256(market.book(book).bids), bids, "bids");
        assertEq(uint256(market.book(book).offers), offers, "offers");
    }

    // --- signatures --------------------------------------------------------------------------------------------------

    /// @notice Signature in the one accepted form.
    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Typed data digest, from the text of EIP-712.
    function _digest(string memory name, uint256 chainId, address verifyingContract, bytes32 structHash)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                chainId,
                verifyingContract
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// @notice Account of an address (IEscrow).
    function accountOf(address share) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(share)));
    }
}
