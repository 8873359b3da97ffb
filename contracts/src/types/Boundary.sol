// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice One metering point as its operator declares it.
/// @param id an open point: its meter's serial, left-aligned ASCII; a member's point: its salted commitment (domain.md §8)
/// @param kind see library Kind
/// @param renewable its production is from a renewable source (indicator RER; no effect on the balance)
/// @param registerDigits size of the meter's register, for the gateway's roll-over rule; no effect on chain
/// @param efficiencyPermille round-trip efficiency of storage and vehicles, 1/1000
/// @param nameplateW nameplate power, W; an hourly record may hold at most nameplateW * 11 / 10 Wh in each direction
/// @param capacityWh usable energy of storage, Wh; 0: not declared. For the plausibility of its readings; no effect on the balance
struct PointDeclaration {
    bytes32 id;
    uint8 kind;
    bool renewable;
    uint8 registerDigits;
    uint16 efficiencyPermille;
    uint32 nameplateW;
    uint32 capacityWh;
}

/// @notice All points of one gateway from a boundary version on: open ones in the order of its records, and its members'.
struct GatewayBoundary {
    bytes32 gatewayId;
    PointDeclaration[] open;
    PointDeclaration[] members;
}

/// @notice The district's boundary version in force on a day; all zero when none is.
/// @param version 1, 2, ...; 0 when no version is in force
/// @param openPoints number of open points of all gateways
/// @param members number of members' points of all gateways (each kind of a household counts as one)
/// @param gridCapWh sum of the hourly caps of the GRID points, Wh
/// @param carrierCapWh sum of the hourly caps of the carrier points, open and private, Wh
/// @param foreignCapWh sum of the hourly caps of the VEHICLE and FUEL_GENERATION points, Wh
/// @param loadMetered the boundary has a LOAD point, open or private
/// @param restartDay the twelve months cannot begin before this day: the district's first version, or the latest removal
struct Boundary {
    uint16 version;
    uint16 openPoints;
    uint32 members;
    uint40 gridCapWh;
    uint40 carrierCapWh;
    uint40 foreignCapWh;
    bool loadMetered;
    uint32 restartDay;
}

/// @notice What a gateway's points could hold in one hour of a day; all zero when it has no points in force.
/// @param openPoints number of open points
/// @param members number of members' points
/// @param gridCapWh sum of the caps of its GRID points, Wh
/// @param carrierCapWh sum of the caps of its open carrier points, Wh
/// @param foreignCapWh sum of the caps of its VEHICLE and FUEL_GENERATION points, Wh
/// @param memberCarrierCapWh sum of the caps of its members' carrier points, Wh: unknown when the private batch is missing
struct GatewayCaps {
    uint16 openPoints;
    uint16 members;
    uint40 gridCapWh;
    uint40 carrierCapWh;
    uint40 foreignCapWh;
    uint40 memberCarrierCapWh;
}

/// @notice A gateway's key was in foreign hands from `since` until `revokedAt` (unix seconds, both inclusive).
struct Compromise {
    bytes32 gatewayId;
    uint64 since;
    uint64 revokedAt;
}

/// @param zone grid area whose generation mix gives the hourly factors
/// @param ownerOrg organisation that applies for certificates
/// @param operatorOrg organisation that registers gateways and publishes boundaries
/// @param minimumMembers fewest members behind a private sum that is not zero
struct District {
    bytes32 zone;
    bytes32 ownerOrg;
    bytes32 operatorOrg;
    uint8 minimumMembers;
}

/// @param districtId the district it belongs to for ever; zero when the gateway is unknown
/// @param key address of the key in force; zero while a revoked key is not replaced
/// @param everCompromised a revocation with a time of compromise was ever recorded
/// @param registeredAt unix seconds
struct Gateway {
    bytes32 districtId;
    address key;
    bool everCompromised;
    uint64 registeredAt;
}

/// @notice Where a metering point is declared.
/// @param gatewayId gateway that declared it last; zero when the identifier was never declared
/// @param kind kind then declared
/// @param nameplateW nameplate then declared, W
/// @param fromDay first day of that gateway's declaration
/// @param freeFrom first day on which another gateway may declare it; type(uint32).max while it is declared
/// @param retired its meter was exchanged: the identifier can never be declared again
struct PointStatus {
    bytes32 gatewayId;
    uint8 kind;
    uint32 nameplateW;
    uint32 fromDay;
    uint32 freeFrom;
    bool retired;
}
