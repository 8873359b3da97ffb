// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { CarrierFactor, Resolution, StaticFactors, Vintage } from "../types/Factor.sol";

/// @title Primary-energy and greenhouse-gas factors in vintages (domain.md §3)
/// @notice A vintage is written by one publishing organisation. Its static and carrier factors are fixed when it is
/// created; its days are appended in ascending order per zone and never change. A day that it lacks for good falls back to
/// its parent. Nothing here depends on who calls when: once `resolve` answers Published or Lacking it answers so for ever.
///
/// Units: PEF in 1/1000 (kWh_PE per kWh), GHG in g CO2e per kWh.
///
/// Assumptions. Publishers are accredited by the scheme administrators and trusted for the numbers; a wrong number is
/// mended by a new vintage beside the old one, never by a change.
interface IFactors {
    event VintageCreated(
        bytes32 indexed vintageId,
        bytes32 indexed parent,
        bytes32 indexed publisherOrg,
        uint64 createdAt,
        uint16 fMin,
        uint16 fMax,
        uint16 gMax,
        StaticFactors electricity,
        CarrierFactor[] carriers
    );
    /// @param pointer contract whose code from byte 1 on is `factors`
    event DayPublished(
        bytes32 indexed vintageId, bytes32 indexed zone, uint32 indexed day, address pointer, bytes factors
    );

    error InvalidSlug(bytes32 id);
    error NotPublisher(address account);
    error NotVintageOwner(bytes32 vintageId, bytes32 organisationId, bytes32 expected);
    error VintageExists(bytes32 vintageId);
    error UnknownVintage(bytes32 vintageId);
    error FactorRange(uint16 fMin, uint16 fMax);
    /// @notice A parent's factors can become this vintage's: its range must lie inside.
    error ParentOutsideRange(bytes32 parent, uint16 parentValue, uint16 limit);
    error ParentTooDeep(bytes32 parent, uint8 depth, uint8 limit);
    error CarriersNotAscending(uint8 carrier, uint8 previous);
    error UnknownCarrier(uint8 carrier);
    /// @param name which factor, for example "import total"
    error FactorOutOfRange(string name, uint16 value, uint16 least, uint16 greatest);
    /// @param hourOfDay 0..23
    /// @param column 0 average total, 1 marginal total, 2 and 3 the same non-renewable, 4 and 5 the same GHG
    error HourFactorOutOfRange(uint8 hourOfDay, uint8 column, uint16 value, uint16 least, uint16 greatest);
    error FactorsLength(uint256 length, uint256 expected);
    error DayNotAscending(uint32 day, uint32 frontier);
    error DayNotOver(uint32 day, uint256 timestamp);
    error DeadlinePassed(uint32 day, uint256 deadline, uint256 timestamp);

    /// @notice Creates a vintage, owned by the caller's organisation. Only FACTOR_PUBLISHER.
    /// @param parent zero, or an existing vintage whose range lies inside this one's; at most 15 ancestors
    /// @param fMin least PEF (total) of electricity that it may contain
    /// @param fMax greatest PEF that it may contain, for electricity and carriers
    /// @param gMax greatest GHG factor that it may contain
    /// @param electricity total PEF within [fMin, fMax], non-renewable at most fMax, GHG at most gMax
    /// @param carriers in ascending order, each export factor at most the bought one; a carrier left out takes the least
    /// favourable factors (see carrierFactors)
    function createVintage(
        bytes32 vintageId,
        bytes32 parent,
        uint16 fMin,
        uint16 fMax,
        uint16 gMax,
        StaticFactors calldata electricity,
        CarrierFactor[] calldata carriers
    ) external;

    /// @notice Publishes the 24 hours of a past day of a zone. Only accounts with FACTOR_PUBLISHER of the vintage's
    /// organisation, in ascending order of days (gaps stay gaps), and until 30 days after the end of the day or after the
    /// creation of the vintage, whichever is later.
    /// @param factors 24 times 12 bytes, big endian u16: average total, marginal total, average non-renewable, marginal
    /// non-renewable, average GHG, marginal GHG. Total PEF within [fMin, fMax], non-renewable at most fMax, GHG at most gMax
    function publishDay(bytes32 vintageId, bytes32 zone, uint32 day, bytes calldata factors) external;

    /// @notice The day's factors from the vintage, or from the nearest ancestor that has them.
    /// Pending: may still be published. Lacking: nobody can any more; take the scheme's least favourable factors.
    /// @dev Reverts with UnknownVintage.
    /// @return resolution what is known of the day
    /// @return pointer when Published: contract whose code is one STOP byte and the 288 bytes of publishDay; else zero
    function resolve(bytes32 vintageId, bytes32 zone, uint256 day)
        external
        view
        returns (Resolution resolution, address pointer);

    /// @notice First day that can still be published: one after the last published day; 0 when none is.
    function frontier(bytes32 vintageId, bytes32 zone) external view returns (uint32);

    /// @notice Last moment (unix seconds, inclusive) at which the day could be published in this vintage.
    /// @dev Reverts with UnknownVintage.
    function deadline(bytes32 vintageId, uint256 day) external view returns (uint256);

    /// @dev Reverts with UnknownVintage.
    function vintage(bytes32 vintageId) external view returns (Vintage memory);

    /// @dev Reverts with UnknownVintage.
    function staticFactors(bytes32 vintageId) external view returns (StaticFactors memory);

    /// @notice The vintage's factors of the carriers 1..8, at index carrier - 1. One that it does not list costs the most
    /// that the vintage allows (bought fMax, fMax, gMax) and earns nothing (export 0).
    /// @dev Reverts with UnknownVintage.
    function carrierFactors(bytes32 vintageId) external view returns (CarrierFactor[8] memory);
}
