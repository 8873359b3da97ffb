// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import { IEscrow } from "contracts/interfaces/IEscrow.sol";
import { IMarketRules, Terms } from "contracts/interfaces/IMarketRules.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

interface ISettlementToken is IERC20 {
    function mint(address to, uint256 amount) external;
    function decimals() external view returns (uint8);
}

/// @notice The market on top of a whole platform: rules, token, escrow with money of two owners.
abstract contract MarketFixture is LedgerFixture {
    bytes32 internal constant HARBOUR_OWNERS = "harbour-owners";
    bytes32 internal constant HILL_OWNERS = "hill-owners";
    uint256 internal constant OWNER_KEY = 0x0A1;
    uint256 internal constant HILL_OWNER_KEY = 0x0A2;
    uint32 internal constant BOND = 500_000;
    uint256 internal constant WEALTH = 1_000_000e6;

    address internal immutable hillOwner = vm.addr(HILL_OWNER_KEY);
    address internal immutable harbourOwner = vm.addr(OWNER_KEY);

    IMarketRules internal rules;
    ISettlementToken internal token;
    IEscrow internal escrow;
    address internal marketAddress;
    address internal settlementAddress;
    address internal flexibilityAddress;

    function setUp() public virtual override {
        super.setUp();
        _deployMarket(terms(), address(0));
        vm.startPrank(administrator);
        registry.enrol(harbourOwner, HARBOUR_OWNERS, registry.DISTRICT_OWNER());
        registry.enrol(hillOwner, HILL_OWNERS, registry.DISTRICT_OWNER());
        vm.stopPrank();
        fund(harbourOwner, HARBOUR_OWNERS, WEALTH);
        fund(hillOwner, HILL_OWNERS, WEALTH);
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
        escrow = IEscrow(
            deploy("Escrow", abi.encode(token, registry, marketAddress, settlementAddress, flexibilityAddress))
        );
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
