// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import {
    Boundary,
    Compromise,
    District,
    Gateway,
    GatewayBoundary,
    GatewayCaps,
    PointDeclaration,
    PointStatus
} from "../types/Boundary.sol";
import { Scheme } from "../types/Scheme.sol";

/// @title Who may do what, and what belongs to a district (domain.md §§1, 2, 8)
/// @notice Organisations, their accounts and roles; certification schemes; districts with effective-dated boundaries;
/// gateways and their keys; metering points. Everything here is rebuilt from the events alone.
///
/// Identifiers are slugs: ASCII `[a-z0-9-]{1,32}` as bytes32, left-aligned and zero padded; a meter's serial may also
/// contain `A-Z . _`. A `day` is unix time / 86400 and starts at a UTC midnight.
///
/// Assumptions. The scheme administrators are trusted to accredit organisations. A meter operator is trusted to declare
/// what is physically there: the contract cannot see a meter. What it does enforce is that nobody rewrites the past, that
/// a point is in one place at a time, and that nothing that a district must account for silently leaves its boundary.
interface IRegistry is IAccessControl {
    // --- events -----------------------------------------------------------------------------------------------------

    event OrganisationRegistered(bytes32 indexed organisationId, string name);
    /// @notice The account acts for the organisation, for ever. Its roles follow as AccessControl's RoleGranted.
    event AccountEnrolled(address indexed account, bytes32 indexed organisationId);
    event SchemeRegistered(bytes32 indexed schemeId, Scheme scheme);
    event DistrictRegistered(
        bytes32 indexed districtId,
        bytes32 indexed zone,
        bytes32 indexed ownerOrg,
        bytes32 operatorOrg,
        uint8 minimumMembers
    );
    event GatewayRegistered(bytes32 indexed gatewayId, bytes32 indexed districtId, address key);
    event KeyRotated(bytes32 indexed gatewayId, address oldKey, address newKey);
    /// @param key the key in force until now; zero when an already revoked key is reported as compromised
    /// @param compromisedSince unix seconds; 0: the key is withdrawn but was not in foreign hands
    event KeyRevoked(bytes32 indexed gatewayId, bytes32 indexed districtId, address key, uint64 compromisedSince);
    /// @notice One gateway's part of the version, emitted before BoundaryPublished in the order of the call.
    /// @param manifest contract whose code from byte 1 on holds 8 bytes per open point (see openContext)
    /// @param group contract whose code from byte 1 on holds 8 bytes per private kind (see privateContext)
    event GatewayBoundaryPublished(
        bytes32 indexed districtId,
        bytes32 indexed gatewayId,
        uint16 version,
        uint32 fromDay,
        address manifest,
        address group,
        PointDeclaration[] open,
        PointDeclaration[] members
    );
    event BoundaryPublished(bytes32 indexed districtId, uint16 version, uint32 fromDay, uint32 restartDay);
    /// @notice From now on the point `oldId` is called `newId`, in the version in force and in those to come.
    event MeterExchanged(
        bytes32 indexed districtId, bytes32 indexed gatewayId, bytes32 indexed oldId, bytes32 newId, uint32 day
    );

    // --- errors -----------------------------------------------------------------------------------------------------

    error InvalidSlug(bytes32 id);
    error InvalidSerial(bytes32 id);
    /// @notice A member's point must be a salted commitment; this identifier is readable text.
    error ReadableMember(bytes32 id);
    error UnknownOrganisation(bytes32 organisationId);
    error UnknownScheme(bytes32 schemeId);
    error UnknownDistrict(bytes32 districtId);
    error UnknownGateway(bytes32 gatewayId);
    error UnknownRole(bytes32 role);
    error AlreadyRegistered(bytes32 id);
    error EmptyName(bytes32 id);
    error ZeroAddress();
    error NotEnrolled(address account);
    error OtherOrganisation(address account, bytes32 organisationId, bytes32 expected);
    error LastAdministrator(address account);
    error SchemeRange(uint16 minimum, uint16 maximum);
    /// @notice Vintages promise no least GHG factor and no least non-renewable PEF: the scheme's must be 0.
    error MinimumNotZero(uint16 minimum);
    error SchemeValueOutOfRange(string name, uint256 value, uint256 least, uint256 greatest);
    error MinimumMembersTooLow(uint8 members, uint8 least);
    error KeyUsedBefore(address key, bytes32 gatewayId);
    error KeyAlreadyRevoked(bytes32 gatewayId);
    error CompromiseOutOfRange(uint64 compromisedSince, uint64 earliest, uint64 latest);
    error TooManyGateways(bytes32 districtId, uint256 limit);
    error NothingChanged(bytes32 districtId);
    error FromDayOutOfRange(uint32 fromDay, uint32 earliest, uint32 latest);
    error WrongDistrict(bytes32 gatewayId, bytes32 districtId, bytes32 expected);
    error GatewayListedTwice(bytes32 gatewayId);
    error UnknownKind(bytes32 id, uint8 kind);
    error KindNotPrivate(bytes32 id, uint8 kind);
    error NameplateOutOfRange(bytes32 id, uint32 nameplateW, uint32 greatest);
    error EfficiencyAboveOne(bytes32 id, uint16 efficiencyPermille);
    /// @notice The point is declared at that gateway, which this version does not drop (or it is listed twice).
    error PointTaken(bytes32 id, bytes32 gatewayId);
    error PointNotYetFree(bytes32 id, uint32 freeFrom, uint32 fromDay);
    error PointRetired(bytes32 id);
    error PointNotDeclared(bytes32 id, bytes32 districtId);
    error TooManyPoints(uint256 points, uint256 limit);
    /// @notice The hourly caps that share a 32-bit sum add up to more than it holds.
    error CapsTooLarge(string lane, uint256 capWh, uint256 limit);

    // --- organisations, accounts, roles ------------------------------------------------------------------------------

    function SCHEME_ADMIN() external view returns (bytes32);
    function METER_OPERATOR() external view returns (bytes32);
    function FACTOR_PUBLISHER() external view returns (bytes32);
    function AUDITOR() external view returns (bytes32);
    function DISTRICT_OWNER() external view returns (bytes32);
    /// @notice Opens demand-response events (domain.md §7).
    function GRID_OPERATOR() external view returns (bytes32);

    /// @notice Adds an organisation. Only SCHEME_ADMIN.
    function registerOrganisation(bytes32 organisationId, string calldata name) external;

    /// @notice Gives an account of the organisation a role. An account belongs to one organisation for ever.
    /// Only SCHEME_ADMIN. AccessControl's grantRole does the same for accounts that are enrolled already, and refuses others.
    function enrol(address account, bytes32 organisationId, bytes32 role) external;

    /// @notice Takes the role from the account. The last SCHEME_ADMIN cannot be dismissed, nor renounce. Only SCHEME_ADMIN.
    function dismiss(address account, bytes32 role) external;

    /// @return organisationId zero when the account was never enrolled
    function organisationOf(address account) external view returns (bytes32 organisationId);

    function organisationName(bytes32 organisationId) external view returns (string memory);

    // --- schemes -----------------------------------------------------------------------------------------------------

    /// @notice Writes a scheme once; it never changes. Only SCHEME_ADMIN.
    function registerScheme(bytes32 schemeId, Scheme calldata scheme_) external;

    /// @dev Reverts with UnknownScheme.
    function scheme(bytes32 schemeId) external view returns (Scheme memory);

    // --- districts, gateways, keys -----------------------------------------------------------------------------------

    /// @notice Adds a district. Owner, operator, zone and minimum never change. Only SCHEME_ADMIN.
    function registerDistrict(
        bytes32 districtId,
        bytes32 zone,
        bytes32 ownerOrg,
        bytes32 operatorOrg,
        uint8 minimumMembers
    ) external;

    /// @dev Reverts with UnknownDistrict.
    function district(bytes32 districtId) external view returns (District memory);

    /// @notice Adds a gateway to a district, for ever, with its first key. At most 64 a district. A key is never used
    /// twice, by any gateway. Only METER_OPERATOR accounts of the district's operator, as for everything below.
    function registerGateway(bytes32 gatewayId, bytes32 districtId, address key) external;

    /// @notice Replaces the key, or ends the time without one after a revocation. Batches are checked against the key in
    /// force in the block that accepts them.
    function rotateKey(bytes32 gatewayId, address newKey) external;

    /// @notice Withdraws the key at once; the gateway is mute until rotateKey.
    /// @param compromisedSince unix seconds from which the key (or an earlier one of this gateway) was in foreign hands;
    /// 0 for none. What the ledger accepted since then counts as missing until it is signed again. An already revoked key
    /// can still be reported as compromised.
    function revokeKey(bytes32 gatewayId, uint64 compromisedSince) external;

    /// @return all zero for an unknown gateway
    function gateway(bytes32 gatewayId) external view returns (Gateway memory);

    /// @notice The district's gateways in the order of registration, with or without points.
    function gateways(bytes32 districtId) external view returns (bytes32[] memory);

    /// @return gatewayId the gateway that the key was ever registered for; zero for none
    function gatewayOfKey(address key) external view returns (bytes32 gatewayId);

    /// @notice Number of revocations with a time of compromise in the district.
    function compromiseCount(bytes32 districtId) external view returns (uint256);

    function compromise(bytes32 districtId, uint256 index) external view returns (Compromise memory);

    /// @notice Number of the district's gateways whose key is revoked and not replaced.
    function keysMissing(bytes32 districtId) external view returns (uint256);

    // --- boundaries and points ---------------------------------------------------------------------------------------

    /// @notice Publishes the district's next boundary version. Gateways that are not listed keep their points.
    ///
    /// A point is at one gateway at a time: it can be declared elsewhere from the day on which its gateway no longer lists
    /// it, in the same call only within the same district. Adding points is free. Dropping one that the district must
    /// account for (every kind but STORAGE and VEHICLE), declaring it as another kind or with a lower nameplate restarts the
    /// twelve months on `fromDay`; moving it to another gateway of the district within one call does not.
    ///
    /// Limits, so that the ledger's packed sums cannot overflow: 2,000 open points a gateway, 65,535 open and 65,535
    /// members' points a district, every 32-bit lane of an hour (grid; generation and load; storage; each carrier).
    /// @param fromDay first day of the version: after today, after the day of the latest version, at most 366 days ahead
    /// @param changes the full lists of the gateways that change; empty lists take a gateway's points away
    function publishBoundary(bytes32 districtId, uint32 fromDay, GatewayBoundary[] calldata changes) external;

    /// @notice The point's meter is replaced: same point, new identifier, at once, no restart. The old identifier is retired
    /// for ever, so that an exchange cannot free a meter for another district.
    function exchangeMeter(bytes32 districtId, bytes32 oldId, bytes32 newId) external;

    function pointStatus(bytes32 id) external view returns (PointStatus memory);

    /// @notice Number of boundary versions published, future ones included.
    function boundaryVersions(bytes32 districtId) external view returns (uint16);

    /// @notice The version in force on a day. All zero before the first version and for an unknown district.
    function boundary(bytes32 districtId, uint256 day) external view returns (Boundary memory);

    /// @notice What the ledger needs to accept an open batch. Never reverts; zeros say what is missing.
    /// @param day the batch's day: the points of the version in force on it, the key in force now
    /// @return key zero while a revoked key is not replaced
    /// @return districtId zero for an unknown gateway
    /// @return manifest zero when the gateway has no open point on that day; else its code is one STOP byte and then, per
    /// point in the order of the records, 8 bytes big endian: kind u8, renewable u8, efficiencyPermille u16, capWh u32
    /// @return everCompromised a compromise of this gateway was ever recorded
    function openContext(bytes32 gatewayId, uint256 day)
        external
        view
        returns (address key, bytes32 districtId, address manifest, bool everCompromised);

    /// @notice What the ledger needs to accept a private batch. Never reverts; zeros say what is missing.
    /// @return key as in openContext
    /// @return districtId as in openContext
    /// @return group zero when the gateway has no members on that day; else its code is one STOP byte and then, per kind
    /// ascending, 8 bytes big endian: kind u8, 0 u8, members u16, capWh u32 (the members' caps added up)
    /// @return minimumMembers the district's
    /// @return everCompromised as in openContext
    function privateContext(bytes32 gatewayId, uint256 day)
        external
        view
        returns (address key, bytes32 districtId, address group, uint8 minimumMembers, bool everCompromised);

    /// @notice Counts and caps of a gateway's points on a day, for hours that it left out. All zero when it has none.
    function gatewayCaps(bytes32 gatewayId, uint256 day) external view returns (GatewayCaps memory);
}
