// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IFactors } from "./interfaces/IFactors.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { Code } from "./libraries/Code.sol";
import { Slug } from "./libraries/Slug.sol";
import { CarrierFactor, Resolution, StaticFactors, Vintage } from "./types/Factor.sol";

/// @title Factors
/// @notice See IFactors.
contract Factors is IFactors {
    uint256 private constant PUBLICATION_TIME = 30 days;
    uint256 private constant DAY_BYTES = 24 * 12;
    uint256 private constant CARRIERS = 8;
    /// @dev Bounds the walk through the parents in resolve.
    uint8 private constant MOST_ANCESTORS = 15;

    IRegistry public immutable registry;

    mapping(bytes32 vintageId => Vintage) private _vintages;
    mapping(bytes32 vintageId => StaticFactors) private _electricity;
    mapping(bytes32 vintageId => CarrierFactor[CARRIERS]) private _carriers;
    mapping(bytes32 vintageId => mapping(bytes32 zone => uint32)) public frontier;
    mapping(bytes32 vintageId => mapping(bytes32 zone => mapping(uint256 day => address))) private _days;

    constructor(IRegistry registry_) {
        registry = registry_;
    }

    function createVintage(
        bytes32 vintageId,
        bytes32 parent,
        uint16 fMin,
        uint16 fMax,
        uint16 gMax,
        StaticFactors calldata electricity,
        CarrierFactor[] calldata carriers
    ) external {
        bytes32 publisherOrg = _requirePublisher();
        if (!Slug.isSlug(vintageId)) revert InvalidSlug(vintageId);
        if (_exists(vintageId)) revert VintageExists(vintageId);
        if (fMin > fMax || fMax == 0) revert FactorRange(fMin, fMax);
        uint8 depth = parent == 0 ? 0 : _requireParent(parent, fMin, fMax, gMax);
        _requireElectricity(electricity, fMin, fMax, gMax);
        _vintages[vintageId] = Vintage(parent, publisherOrg, uint40(block.timestamp), fMin, fMax, gMax, depth);
        _electricity[vintageId] = electricity;
        _storeCarriers(vintageId, carriers, fMax, gMax);
        emit VintageCreated(
            vintageId, parent, publisherOrg, uint64(block.timestamp), fMin, fMax, gMax, electricity, carriers
        );
    }

    function publishDay(bytes32 vintageId, bytes32 zone, uint32 day, bytes calldata factors) external {
        bytes32 publisherOrg = _requirePublisher();
        Vintage memory vintage_ = _vintage(vintageId);
        if (vintage_.publisherOrg != publisherOrg) {
            revert NotVintageOwner(vintageId, publisherOrg, vintage_.publisherOrg);
        }
        if (!Slug.isSlug(zone)) revert InvalidSlug(zone);
        uint32 next = frontier[vintageId][zone];
        if (day < next) revert DayNotAscending(day, next);
        if (block.timestamp < _end(day)) revert DayNotOver(day, block.timestamp);
        uint256 last = _deadline(vintage_.createdAt, day);
        if (block.timestamp > last) revert DeadlinePassed(day, last, block.timestamp);
        _requireDay(factors, vintage_);

        address pointer = Code.store(factors);
        _days[vintageId][zone][day] = pointer;
        frontier[vintageId][zone] = day + 1;
        emit DayPublished(vintageId, zone, day, pointer, factors);
    }

    function resolve(bytes32 vintageId, bytes32 zone, uint256 day)
        external
        view
        returns (Resolution resolution, address pointer)
    {
        if (!_exists(vintageId)) revert UnknownVintage(vintageId);
        while (vintageId != 0) {
            pointer = _days[vintageId][zone][day];
            if (pointer != address(0)) return (Resolution.Published, pointer);
            Vintage storage vintage_ = _vintages[vintageId];
            if (day >= frontier[vintageId][zone] && block.timestamp <= _deadline(vintage_.createdAt, day)) {
                return (Resolution.Pending, address(0));
            }
            vintageId = vintage_.parent;
        }
        return (Resolution.Lacking, address(0));
    }

    function deadline(bytes32 vintageId, uint256 day) external view returns (uint256) {
        return _deadline(_vintage(vintageId).createdAt, day);
    }

    function vintage(bytes32 vintageId) external view returns (Vintage memory) {
        return _vintage(vintageId);
    }

    function staticFactors(bytes32 vintageId) external view returns (StaticFactors memory) {
        if (!_exists(vintageId)) revert UnknownVintage(vintageId);
        return _electricity[vintageId];
    }

    function carrierFactors(bytes32 vintageId) external view returns (CarrierFactor[CARRIERS] memory) {
        if (!_exists(vintageId)) revert UnknownVintage(vintageId);
        return _carriers[vintageId];
    }

    /// @return organisationId of the caller
    function _requirePublisher() private view returns (bytes32 organisationId) {
        if (!registry.hasRole(registry.FACTOR_PUBLISHER(), msg.sender)) revert NotPublisher(msg.sender);
        return registry.organisationOf(msg.sender);
    }

    /// @return depth of the new vintage
    function _requireParent(bytes32 parentId, uint16 fMin, uint16 fMax, uint16 gMax)
        private
        view
        returns (uint8 depth)
    {
        Vintage memory parent = _vintage(parentId);
        if (parent.fMin < fMin) revert ParentOutsideRange(parentId, parent.fMin, fMin);
        if (parent.fMax > fMax) revert ParentOutsideRange(parentId, parent.fMax, fMax);
        if (parent.gMax > gMax) revert ParentOutsideRange(parentId, parent.gMax, gMax);
        if (parent.depth == MOST_ANCESTORS) revert ParentTooDeep(parentId, parent.depth, MOST_ANCESTORS);
        return parent.depth + 1;
    }

    function _requireElectricity(StaticFactors calldata factors, uint16 fMin, uint16 fMax, uint16 gMax) private pure {
        _requireWithin("import total", factors.importTotal, fMin, fMax);
        _requireWithin("import non-renewable", factors.importNonRenewable, 0, fMax);
        _requireWithin("import GHG", factors.importGhg, 0, gMax);
        _requireWithin("export total", factors.exportTotal, fMin, fMax);
        _requireWithin("export non-renewable", factors.exportNonRenewable, 0, fMax);
        _requireWithin("export GHG", factors.exportGhg, 0, gMax);
    }

    /// @dev An unlisted carrier costs the most and earns nothing; otherwise leaving gas out would make it free.
    function _storeCarriers(bytes32 vintageId, CarrierFactor[] calldata carriers, uint16 fMax, uint16 gMax) private {
        uint8 previous = 0;
        CarrierFactor[CARRIERS] storage stored = _carriers[vintageId];
        for (uint8 carrier = 1; carrier <= CARRIERS; ++carrier) {
            stored[carrier - 1] = CarrierFactor(carrier, fMax, fMax, gMax, 0, 0, 0);
        }
        for (uint256 i = 0; i < carriers.length; ++i) {
            CarrierFactor calldata factor = carriers[i];
            if (factor.carrier == 0 || factor.carrier > CARRIERS) revert UnknownCarrier(factor.carrier);
            if (factor.carrier <= previous) revert CarriersNotAscending(factor.carrier, previous);
            _requireWithin("bought total", factor.boughtTotal, 0, fMax);
            _requireWithin("bought non-renewable", factor.boughtNonRenewable, 0, fMax);
            _requireWithin("bought GHG", factor.boughtGhg, 0, gMax);
            _requireWithin("delivered total", factor.exportTotal, 0, factor.boughtTotal);
            _requireWithin("delivered non-renewable", factor.exportNonRenewable, 0, factor.boughtNonRenewable);
            _requireWithin("delivered GHG", factor.exportGhg, 0, factor.boughtGhg);
            stored[factor.carrier - 1] = factor;
            previous = factor.carrier;
        }
    }

    function _requireDay(bytes calldata factors, Vintage memory vintage_) private pure {
        if (factors.length != DAY_BYTES) revert FactorsLength(factors.length, DAY_BYTES);
        for (uint256 i = 0; i < DAY_BYTES / 2; ++i) {
            uint16 value = uint16(bytes2(factors[2 * i:2 * i + 2]));
            uint256 column = i % 6;
            uint16 least = column < 2 ? vintage_.fMin : 0;
            uint16 greatest = column < 4 ? vintage_.fMax : vintage_.gMax;
            if (value < least || value > greatest) {
                revert HourFactorOutOfRange(uint8(i / 6), uint8(column), value, least, greatest);
            }
        }
    }

    function _requireWithin(string memory name, uint16 value, uint16 least, uint16 greatest) private pure {
        if (value < least || value > greatest) revert FactorOutOfRange(name, value, least, greatest);
    }

    function _exists(bytes32 vintageId) private view returns (bool) {
        return _vintages[vintageId].publisherOrg != 0;
    }

    function _vintage(bytes32 vintageId) private view returns (Vintage memory vintage_) {
        vintage_ = _vintages[vintageId];
        if (vintage_.publisherOrg == 0) revert UnknownVintage(vintageId);
    }

    /// @dev Last second in which the day can be published.
    function _deadline(uint256 createdAt, uint256 day) private pure returns (uint256) {
        uint256 end = _end(day);
        return (end > createdAt ? end : createdAt) + PUBLICATION_TIME;
    }

    function _end(uint256 day) private pure returns (uint256) {
        return (day + 1) * 1 days;
    }
}
