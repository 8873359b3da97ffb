// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import { IRegistry } from "./interfaces/IRegistry.sol";

/// @title Settlement token of a test network; one unit is one micro-euro
/// @notice The Registry's administrators make it. In production the Escrow holds another ERC-20, given by its address.
contract SettlementToken is ERC20 {
    error NotAdministrator(address caller);

    IRegistry public immutable registry;

    constructor(IRegistry registry_) ERC20("PED settlement euro", "PEDEUR") {
        registry = registry_;
    }

    /// @notice Makes tokens. Only SCHEME_ADMIN.
    function mint(address to, uint256 amount) external {
        if (!registry.hasRole(registry.SCHEME_ADMIN(), msg.sender)) revert NotAdministrator(msg.sender);
        _mint(to, amount);
    }

    /// @notice One token is one euro.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
