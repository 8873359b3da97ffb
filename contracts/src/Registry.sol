// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Boundaries } from "./registry/Boundaries.sol";
import { Organisations } from "./registry/Organisations.sol";

/// @title Registry
/// @notice See IRegistry. One contract in three readable parts: organisations, gateways, boundaries.
contract Registry is Boundaries {
    /// @param administrator first account with the role SCHEME_ADMIN
    /// @param organisationId slug of its organisation
    /// @param name name of its organisation
    constructor(address administrator, bytes32 organisationId, string memory name)
        Organisations(administrator, organisationId, name)
    { }
}
