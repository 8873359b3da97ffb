// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Slug } from "../libraries/Slug.sol";
import { Compromise, District, Gateway } from "../types/Boundary.sol";
import { Organisations } from "./Organisations.sol";

/// @notice The part of the Registry about districts, gateways and their keys.
abstract contract Gateways is Organisations {
    /// @dev Bounds the loops over a district's gateways, here and in the assessments.
    uint256 private constant MOST_GATEWAYS = 64;

    struct DistrictRecord {
        bytes32 zone;
        bytes32 ownerOrg;
        bytes32 operatorOrg;
        uint8 minimumMembers;
        uint16 versions;
        uint16 keysMissing;
    }

    /// @param manifests number of boundary versions that listed the gateway
    /// @param number place in _gatewayIds, from 1
    struct GatewayRecord {
        address key;
        uint40 registeredAt;
        uint16 manifests;
        uint32 number;
        bool everCompromised;
        bytes32 districtId;
    }

    mapping(bytes32 districtId => DistrictRecord) internal _districts;
    mapping(bytes32 districtId => bytes32[]) private _gatewaysOf;
    mapping(bytes32 districtId => Compromise[]) private _compromises;
    mapping(bytes32 gatewayId => GatewayRecord) internal _gateways;
    bytes32[] internal _gatewayIds;
    mapping(address key => bytes32 gatewayId) public gatewayOfKey;

    function registerDistrict(
        bytes32 districtId,
        bytes32 zone,
        bytes32 ownerOrg,
        bytes32 operatorOrg,
        uint8 minimumMembers
    ) external onlyRole(SCHEME_ADMIN) {
        if (!Slug.isSlug(districtId)) revert InvalidSlug(districtId);
        if (!Slug.isSlug(zone)) revert InvalidSlug(zone);
        _requireOrganisation(ownerOrg);
        _requireOrganisation(operatorOrg);
        if (minimumMembers < LEAST_MEMBERS) revert MinimumMembersTooLow(minimumMembers, LEAST_MEMBERS);
        DistrictRecord storage record = _districts[districtId];
        if (record.ownerOrg != 0) revert AlreadyRegistered(districtId);
        record.zone = zone;
        record.ownerOrg = ownerOrg;
        record.operatorOrg = operatorOrg;
        record.minimumMembers = minimumMembers;
        emit DistrictRegistered(districtId, zone, ownerOrg, operatorOrg, minimumMembers);
    }

    function registerGateway(bytes32 gatewayId, bytes32 districtId, address key) external {
        _operatedDistrict(districtId);
        if (!Slug.isSlug(gatewayId)) revert InvalidSlug(gatewayId);
        GatewayRecord storage record = _gateways[gatewayId];
        if (record.districtId != 0) revert AlreadyRegistered(gatewayId);
        if (_gatewaysOf[districtId].length == MOST_GATEWAYS) revert TooManyGateways(districtId, MOST_GATEWAYS);
        _takeKey(key, gatewayId);
        _gatewaysOf[districtId].push(gatewayId);
        _gatewayIds.push(gatewayId);
        record.key = key;
        record.registeredAt = uint40(block.timestamp);
        record.number = uint32(_gatewayIds.length);
        record.districtId = districtId;
        emit GatewayRegistered(gatewayId, districtId, key);
    }

    function rotateKey(bytes32 gatewayId, address newKey) external {
        (GatewayRecord storage record, DistrictRecord storage district_) = _operatedGateway(gatewayId);
        address oldKey = record.key;
        _takeKey(newKey, gatewayId);
        if (oldKey == address(0)) --district_.keysMissing;
        record.key = newKey;
        emit KeyRotated(gatewayId, oldKey, newKey);
    }

    function revokeKey(bytes32 gatewayId, uint64 compromisedSince) external {
        (GatewayRecord storage record, DistrictRecord storage district_) = _operatedGateway(gatewayId);
        address key = record.key;
        if (key == address(0) && compromisedSince == 0) revert KeyAlreadyRevoked(gatewayId);
        if (compromisedSince != 0) {
            if (compromisedSince < record.registeredAt || compromisedSince > block.timestamp) {
                revert CompromiseOutOfRange(compromisedSince, record.registeredAt, uint64(block.timestamp));
            }
            record.everCompromised = true;
            _compromises[record.districtId].push(Compromise(gatewayId, compromisedSince, uint64(block.timestamp)));
        }
        if (key != address(0)) {
            record.key = address(0);
            ++district_.keysMissing;
        }
        emit KeyRevoked(gatewayId, record.districtId, key, compromisedSince);
    }

    function district(bytes32 districtId) external view returns (District memory) {
        DistrictRecord storage record = _districts[districtId];
        if (record.ownerOrg == 0) revert UnknownDistrict(districtId);
        return District(record.zone, record.ownerOrg, record.operatorOrg, record.minimumMembers);
    }

    function gateway(bytes32 gatewayId) external view returns (Gateway memory) {
        GatewayRecord storage record = _gateways[gatewayId];
        return Gateway(record.districtId, record.key, record.everCompromised, record.registeredAt);
    }

    function gateways(bytes32 districtId) external view returns (bytes32[] memory) {
        return _gatewaysOf[districtId];
    }

    function compromiseCount(bytes32 districtId) external view returns (uint256) {
        return _compromises[districtId].length;
    }

    function compromise(bytes32 districtId, uint256 index) external view returns (Compromise memory) {
        return _compromises[districtId][index];
    }

    function keysMissing(bytes32 districtId) external view returns (uint256) {
        return _districts[districtId].keysMissing;
    }

    /// @dev The district, if the caller is a meter operator of it.
    function _operatedDistrict(bytes32 districtId) internal view returns (DistrictRecord storage record) {
        record = _districts[districtId];
        if (record.ownerOrg == 0) revert UnknownDistrict(districtId);
        _requireActsFor(record.operatorOrg, METER_OPERATOR);
    }

    /// @dev The gateway and its district, if the caller is a meter operator of it.
    function _operatedGateway(bytes32 gatewayId)
        private
        view
        returns (GatewayRecord storage record, DistrictRecord storage district_)
    {
        record = _gateways[gatewayId];
        if (record.districtId == 0) revert UnknownGateway(gatewayId);
        district_ = _operatedDistrict(record.districtId);
    }

    /// @dev Marks the key as used for ever.
    function _takeKey(address key, bytes32 gatewayId) private {
        if (key == address(0)) revert ZeroAddress();
        bytes32 former = gatewayOfKey[key];
        if (former != 0) revert KeyUsedBefore(key, former);
        gatewayOfKey[key] = gatewayId;
    }
}
