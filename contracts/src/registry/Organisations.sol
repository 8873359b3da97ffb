// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { AccessControl } from "@openzeppelin/contracts/access/AccessControl.sol";
import { IRegistry } from "../interfaces/IRegistry.sol";
import { Slug } from "../libraries/Slug.sol";
import { Scheme } from "../types/Scheme.sol";

/// @notice The part of the Registry about organisations, their accounts and roles, and certification schemes.
abstract contract Organisations is AccessControl, IRegistry {
    bytes32 public constant SCHEME_ADMIN = DEFAULT_ADMIN_ROLE;
    bytes32 public constant METER_OPERATOR = keccak256("METER_OPERATOR");
    bytes32 public constant FACTOR_PUBLISHER = keccak256("FACTOR_PUBLISHER");
    bytes32 public constant AUDITOR = keccak256("AUDITOR");
    bytes32 public constant DISTRICT_OWNER = keccak256("DISTRICT_OWNER");
    bytes32 public constant GRID_OPERATOR = keccak256("GRID_OPERATOR");

    /// @dev With fewer, a sum is nearly one household's (domain.md §8).
    uint8 internal constant LEAST_MEMBERS = 5;

    mapping(address account => bytes32) public organisationOf;
    mapping(bytes32 organisationId => string) public organisationName;
    mapping(bytes32 schemeId => Scheme) private _schemes;
    uint256 private _administrators;

    constructor(address administrator, bytes32 organisationId, string memory name) {
        _registerOrganisation(organisationId, name);
        _enrol(administrator, organisationId, SCHEME_ADMIN);
    }

    function registerOrganisation(bytes32 organisationId, string calldata name) external onlyRole(SCHEME_ADMIN) {
        _registerOrganisation(organisationId, name);
    }

    function enrol(address account, bytes32 organisationId, bytes32 role) external onlyRole(SCHEME_ADMIN) {
        _enrol(account, organisationId, role);
    }

    function dismiss(address account, bytes32 role) external onlyRole(SCHEME_ADMIN) {
        _revokeRole(role, account);
    }

    function registerScheme(bytes32 schemeId, Scheme calldata scheme_) external onlyRole(SCHEME_ADMIN) {
        if (!Slug.isSlug(schemeId)) revert InvalidSlug(schemeId);
        if (_schemes[schemeId].quorum != 0) revert AlreadyRegistered(schemeId);
        if (scheme_.fMin > scheme_.fMax || scheme_.fMax == 0) revert SchemeRange(scheme_.fMin, scheme_.fMax);
        if (scheme_.gMin > scheme_.gMax) revert SchemeRange(scheme_.gMin, scheme_.gMax);
        if (scheme_.gMin != 0) revert MinimumNotZero(scheme_.gMin);
        if (scheme_.nonRenewable && scheme_.fMin != 0) revert MinimumNotZero(scheme_.fMin);
        if (scheme_.minimumMembers < LEAST_MEMBERS) {
            revert MinimumMembersTooLow(scheme_.minimumMembers, LEAST_MEMBERS);
        }
        _requireWithin("toleranceBp", scheme_.toleranceBp, 0, 10_000);
        _requireWithin("quorum", scheme_.quorum, 1, type(uint8).max);
        _requireWithin("challengeDays", scheme_.challengeDays, 1, type(uint16).max);
        _requireWithin("decisionDays", scheme_.decisionDays, 1, type(uint16).max);
        _requireWithin("validityDays", scheme_.validityDays, 1, type(uint16).max);
        _schemes[schemeId] = scheme_;
        emit SchemeRegistered(schemeId, scheme_);
    }

    function scheme(bytes32 schemeId) external view returns (Scheme memory scheme_) {
        scheme_ = _schemes[schemeId];
        if (scheme_.quorum == 0) revert UnknownScheme(schemeId);
    }

    function _registerOrganisation(bytes32 organisationId, string memory name) private {
        if (!Slug.isSlug(organisationId)) revert InvalidSlug(organisationId);
        if (bytes(name).length == 0) revert EmptyName(organisationId);
        if (_isOrganisation(organisationId)) revert AlreadyRegistered(organisationId);
        organisationName[organisationId] = name;
        emit OrganisationRegistered(organisationId, name);
    }

    function _enrol(address account, bytes32 organisationId, bytes32 role) private {
        if (account == address(0)) revert ZeroAddress();
        _requireOrganisation(organisationId);
        bytes32 enrolled = organisationOf[account];
        if (enrolled == 0) {
            organisationOf[account] = organisationId;
            emit AccountEnrolled(account, organisationId);
        } else if (enrolled != organisationId) {
            revert OtherOrganisation(account, organisationId, enrolled);
        }
        _grantRole(role, account);
    }

    /// @dev Every way to a role passes here, AccessControl's own grantRole included.
    function _grantRole(bytes32 role, address account) internal override returns (bool granted) {
        if (
            role != SCHEME_ADMIN && role != METER_OPERATOR && role != FACTOR_PUBLISHER && role != AUDITOR
                && role != DISTRICT_OWNER && role != GRID_OPERATOR
        ) revert UnknownRole(role);
        if (organisationOf[account] == 0) revert NotEnrolled(account);
        granted = super._grantRole(role, account);
        if (granted && role == SCHEME_ADMIN) ++_administrators;
    }

    /// @dev Every way out of a role passes here, AccessControl's revokeRole and renounceRole included.
    function _revokeRole(bytes32 role, address account) internal override returns (bool revoked) {
        revoked = super._revokeRole(role, account);
        if (revoked && role == SCHEME_ADMIN) {
            if (_administrators == 1) revert LastAdministrator(account);
            --_administrators;
        }
    }

    function _requireOrganisation(bytes32 organisationId) internal view {
        if (!_isOrganisation(organisationId)) revert UnknownOrganisation(organisationId);
    }

    /// @dev The caller must be an account of that organisation with the role.
    function _requireActsFor(bytes32 organisationId, bytes32 role) internal view {
        _checkRole(role);
        bytes32 own = organisationOf[msg.sender];
        if (own != organisationId) revert OtherOrganisation(msg.sender, own, organisationId);
    }

    function _isOrganisation(bytes32 organisationId) private view returns (bool) {
        return bytes(organisationName[organisationId]).length != 0;
    }

    function _requireWithin(string memory name, uint256 value, uint256 least, uint256 greatest) private pure {
        if (value < least || value > greatest) revert SchemeValueOutOfRange(name, value, least, greatest);
    }
}
