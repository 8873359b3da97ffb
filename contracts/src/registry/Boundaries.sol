// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Code } from "../libraries/Code.sol";
import { Slug } from "../libraries/Slug.sol";
import { Boundary, GatewayBoundary, GatewayCaps, PointDeclaration, PointStatus } from "../types/Boundary.sol";
import { Kind } from "../types/Kind.sol";
import { Gateways } from "./Gateways.sol";

/// @notice The part of the Registry about boundary versions and metering points.
/// @dev No list of a gateway's points is kept: a point's record names the manifest that declared it, so it is in force
/// exactly while its gateway has no later manifest; and what a version drops is found by counting what it keeps.
abstract contract Boundaries is Gateways {
    uint256 private constant MOST_OPEN_POINTS = 2000;
    uint256 private constant MOST_DAYS_AHEAD = 366;
    uint32 private constant NEVER = type(uint32).max;
    /// @dev The greatest nameplate whose hourly cap fits the 31 bits of a record.
    uint32 private constant MOST_NAMEPLATE_W = 1_952_257_861;
    uint256 private constant ENTRY_BYTES = 8;

    /// @dev Caps are kept per lane: lanes 1 to 6 are the kinds 1 to 6, lanes 8 to 15 the carriers 1 to 8.
    uint256 private constant LANES = 16;
    uint256 private constant FIRST_CARRIER_LANE = 8;

    /// @param open contract that holds the open points; zero for none
    /// @param group contract that holds the members' kinds; zero for none
    /// @param lasting points that may not be dropped without a restart
    struct Manifest {
        address open;
        uint32 fromDay;
        uint40 memberCarrierCapWh;
        address group;
        uint16 openPoints;
        uint16 members;
        uint32 lasting;
        uint32[LANES] capsWh;
    }

    struct Version {
        uint32 fromDay;
        uint32 restartDay;
        uint16 openPoints;
        uint16 members;
        uint32[LANES] capsWh;
    }

    /// @param gateway number of the gateway that declared it last; 0 when never declared
    /// @param manifest number of that gateway's manifest
    struct Point {
        uint32 gateway;
        uint16 manifest;
        uint8 kind;
        bool retired;
        uint32 nameplateW;
    }

    /// @dev Counts and caps while they are added up, wide enough not to overflow.
    struct Tally {
        uint256 openPoints;
        uint256 members;
        uint256 lasting;
        uint256[LANES] capsWh;
    }

    /// @dev Where and from when the points of a list are declared.
    struct Place {
        bytes32 districtId;
        uint32 fromDay;
        uint32 gateway;
        uint16 manifest;
    }

    mapping(bytes32 districtId => mapping(uint256 version => Version)) private _versions;
    mapping(bytes32 gatewayId => mapping(uint256 number => Manifest)) private _manifests;
    mapping(bytes32 id => Point) private _points;

    function publishBoundary(bytes32 districtId, uint32 fromDay, GatewayBoundary[] calldata changes) external {
        DistrictRecord storage district_ = _operatedDistrict(districtId);
        if (changes.length == 0) revert NothingChanged(districtId);
        Version storage former = _versions[districtId][district_.versions];
        _requireNextDay(fromDay, former.fromDay);
        uint16 number = ++district_.versions;

        // First every listed gateway gives up its points, so that the order of the list does not matter ...
        Tally memory total;
        total.openPoints = former.openPoints;
        total.members = former.members;
        _add(total.capsWh, former.capsWh);
        uint256 toKeep = 0;
        for (uint256 i = 0; i < changes.length; ++i) {
            toKeep += _openManifest(changes[i].gatewayId, districtId, fromDay, total);
        }
        // ... then they are declared anew.
        uint256 kept = 0;
        for (uint256 i = 0; i < changes.length; ++i) {
            kept += _fillManifest(changes[i], districtId, number, fromDay, total);
        }
        _requireFits(total);

        uint32 restartDay = number == 1 || kept < toKeep ? fromDay : former.restartDay;
        Version storage version = _versions[districtId][number];
        version.fromDay = fromDay;
        version.restartDay = restartDay;
        version.openPoints = uint16(total.openPoints);
        version.members = uint16(total.members);
        version.capsWh = _packed(total.capsWh);
        emit BoundaryPublished(districtId, number, fromDay, restartDay);
    }

    function exchangeMeter(bytes32 districtId, bytes32 oldId, bytes32 newId) external {
        _operatedDistrict(districtId);
        uint32 today = uint32(block.timestamp / 1 days);
        Point memory point = _points[oldId];
        if (point.gateway == 0 || point.retired) revert PointNotDeclared(oldId, districtId);
        bytes32 gatewayId = _gatewayIds[point.gateway - 1];
        if (_gateways[gatewayId].districtId != districtId || _freeFrom(gatewayId, point.manifest) <= today) {
            revert PointNotDeclared(oldId, districtId);
        }
        _requireIdentifier(newId, !Slug.isSerial(oldId));
        _requireFree(newId, _points[newId], today);
        _points[newId] = point;
        _points[oldId].retired = true;
        emit MeterExchanged(districtId, gatewayId, oldId, newId, today);
    }

    function pointStatus(bytes32 id) external view returns (PointStatus memory) {
        Point memory point = _points[id];
        if (point.gateway == 0) return PointStatus(0, 0, 0, 0, 0, false);
        bytes32 gatewayId = _gatewayIds[point.gateway - 1];
        return PointStatus(
            gatewayId,
            point.kind,
            point.nameplateW,
            _manifests[gatewayId][point.manifest].fromDay,
            point.retired ? NEVER : _freeFrom(gatewayId, point.manifest),
            point.retired
        );
    }

    function boundaryVersions(bytes32 districtId) external view returns (uint16) {
        return _districts[districtId].versions;
    }

    function boundary(bytes32 districtId, uint256 day) external view returns (Boundary memory) {
        uint256 number = _latest(districtId, _districts[districtId].versions, day, _versionDay);
        Version memory version = _versions[districtId][number];
        return Boundary({
            version: uint16(number),
            openPoints: version.openPoints,
            members: version.members,
            gridCapWh: version.capsWh[Kind.GRID],
            carrierCapWh: _carrierCap(version.capsWh),
            foreignCapWh: _foreignCap(version.capsWh),
            loadMetered: version.capsWh[Kind.LOAD] != 0,
            restartDay: version.restartDay
        });
    }

    function openContext(bytes32 gatewayId, uint256 day)
        external
        view
        returns (address key, bytes32 districtId, address manifest, bool everCompromised)
    {
        GatewayRecord storage record = _gateways[gatewayId];
        key = record.key;
        everCompromised = record.everCompromised;
        districtId = record.districtId;
        manifest = _manifests[gatewayId][_latest(gatewayId, record.manifests, day, _manifestDay)].open;
    }

    function privateContext(bytes32 gatewayId, uint256 day)
        external
        view
        returns (address key, bytes32 districtId, address group, uint8 minimumMembers, bool everCompromised)
    {
        GatewayRecord storage record = _gateways[gatewayId];
        key = record.key;
        everCompromised = record.everCompromised;
        districtId = record.districtId;
        group = _manifests[gatewayId][_latest(gatewayId, record.manifests, day, _manifestDay)].group;
        minimumMembers = _districts[districtId].minimumMembers;
    }

    function gatewayCaps(bytes32 gatewayId, uint256 day) external view returns (GatewayCaps memory) {
        uint256 number = _latest(gatewayId, _gateways[gatewayId].manifests, day, _manifestDay);
        Manifest memory manifest = _manifests[gatewayId][number];
        return GatewayCaps({
            openPoints: manifest.openPoints,
            members: manifest.members,
            gridCapWh: manifest.capsWh[Kind.GRID],
            carrierCapWh: _carrierCap(manifest.capsWh) - manifest.memberCarrierCapWh,
            foreignCapWh: _foreignCap(manifest.capsWh),
            memberCarrierCapWh: manifest.memberCarrierCapWh
        });
    }

    /// @dev Starts the gateway's next manifest, which ends the former one, and takes that out of the total.
    /// @return lasting number of points that the former manifest would lose with a restart
    function _openManifest(bytes32 gatewayId, bytes32 districtId, uint32 fromDay, Tally memory total)
        private
        returns (uint256 lasting)
    {
        GatewayRecord storage record = _gateways[gatewayId];
        if (record.districtId == 0) revert UnknownGateway(gatewayId);
        if (record.districtId != districtId) revert WrongDistrict(gatewayId, record.districtId, districtId);
        Manifest storage former = _manifests[gatewayId][record.manifests];
        // Versions of a district start on different days, so the same day means the same call.
        if (former.fromDay == fromDay) revert GatewayListedTwice(gatewayId);
        total.openPoints -= former.openPoints;
        total.members -= former.members;
        for (uint256 lane = 0; lane < LANES; ++lane) {
            total.capsWh[lane] -= former.capsWh[lane];
        }
        lasting = former.lasting;
        _manifests[gatewayId][++record.manifests].fromDay = fromDay;
    }

    /// @dev Declares the points of the gateway's new manifest and adds them to the total. The casts cannot lose anything:
    /// _requireFits ends the call when the district's totals are too large, and the gateway's are part of them.
    /// @return kept number of lasting points that were in force in the district until this version
    function _fillManifest(
        GatewayBoundary calldata change,
        bytes32 districtId,
        uint16 version,
        uint32 fromDay,
        Tally memory total
    ) private returns (uint256 kept) {
        if (change.open.length > MOST_OPEN_POINTS) {
            revert TooManyPoints(change.open.length, MOST_OPEN_POINTS);
        }
        GatewayRecord storage record = _gateways[change.gatewayId];
        Place memory place = Place(districtId, fromDay, record.number, record.manifests);
        Manifest storage manifest = _manifests[change.gatewayId][record.manifests];
        Tally memory own;
        bytes memory entries;

        (kept, entries) = _declareOpen(change.open, place, own);
        if (entries.length != 0) manifest.open = Code.store(entries);
        uint256 openCarrierCapWh = _sum(own.capsWh, FIRST_CARRIER_LANE);

        uint256 keptMembers;
        (keptMembers, entries) = _declareMembers(change.members, place, own);
        kept += keptMembers;
        if (entries.length != 0) manifest.group = Code.store(entries);

        manifest.memberCarrierCapWh = uint40(_sum(own.capsWh, FIRST_CARRIER_LANE) - openCarrierCapWh);
        manifest.openPoints = uint16(own.openPoints);
        manifest.members = uint16(own.members);
        manifest.lasting = uint32(own.lasting);
        manifest.capsWh = _packed(own.capsWh);
        total.openPoints += own.openPoints;
        total.members += own.members;
        for (uint256 lane = 0; lane < LANES; ++lane) {
            total.capsWh[lane] += own.capsWh[lane];
        }
        emit GatewayBoundaryPublished(
            districtId, change.gatewayId, version, fromDay, manifest.open, manifest.group, change.open, change.members
        );
    }

    /// @return kept number of lasting points that were in force in the district until this version
    /// @return entries 8 bytes per point: kind u8, renewable u8, efficiencyPermille u16, capWh u32
    function _declareOpen(PointDeclaration[] calldata points, Place memory place, Tally memory own)
        private
        returns (uint256 kept, bytes memory entries)
    {
        entries = new bytes(points.length * ENTRY_BYTES);
        own.openPoints = points.length;
        for (uint256 i = 0; i < points.length; ++i) {
            PointDeclaration calldata point = points[i];
            _requireIdentifier(point.id, false);
            uint256 capWh = _count(point, own);
            if (_declare(point, place)) ++kept;
            uint256 renewable = point.renewable ? 1 : 0;
            uint256 entry =
                uint256(point.kind) << 56 | renewable << 48 | uint256(point.efficiencyPermille) << 32 | capWh;
            _write(entries, i, entry);
        }
    }

    /// @return kept number of lasting points that were in force in the district until this version
    /// @return entries 8 bytes per kind, ascending: kind u8, 0 u8, members u16, capWh u32
    function _declareMembers(PointDeclaration[] calldata points, Place memory place, Tally memory own)
        private
        returns (uint256 kept, bytes memory entries)
    {
        uint256[LANES] memory membersOf;
        uint256[LANES] memory capsOf;
        uint256 kinds = 0;
        own.members = points.length;
        for (uint256 i = 0; i < points.length; ++i) {
            PointDeclaration calldata point = points[i];
            _requireIdentifier(point.id, true);
            if (!Kind.isPrivate(point.kind)) revert KindNotPrivate(point.id, point.kind);
            uint256 lane = _lane(point.kind);
            capsOf[lane] += _count(point, own);
            if (membersOf[lane]++ == 0) ++kinds;
            if (_declare(point, place)) ++kept;
        }
        entries = new bytes(kinds * ENTRY_BYTES);
        uint256 index = 0;
        for (uint256 lane = 0; lane < LANES; ++lane) {
            if (membersOf[lane] == 0) continue;
            uint256 kind = lane < FIRST_CARRIER_LANE ? lane : lane - FIRST_CARRIER_LANE + Kind.FIRST_CARRIER;
            _write(entries, index++, kind << 56 | uint256(uint16(membersOf[lane])) << 32 | uint32(capsOf[lane]));
        }
    }

    /// @dev Checks the declaration and adds it to the gateway's tally.
    function _count(PointDeclaration calldata point, Tally memory own) private pure returns (uint256 capWh) {
        if (!Kind.isKnown(point.kind)) revert UnknownKind(point.id, point.kind);
        if (point.nameplateW == 0 || point.nameplateW > MOST_NAMEPLATE_W) {
            revert NameplateOutOfRange(point.id, point.nameplateW, MOST_NAMEPLATE_W);
        }
        if (point.efficiencyPermille > 1000) revert EfficiencyAboveOne(point.id, point.efficiencyPermille);
        capWh = uint256(point.nameplateW) * 11 / 10;
        own.capsWh[_lane(point.kind)] += capWh;
        if (_isLasting(point.kind)) ++own.lasting;
    }

    /// @return kept it is a lasting point that was in force in the district until this version, and is not less now
    function _declare(PointDeclaration calldata point, Place memory place) private returns (bool kept) {
        Point memory former = _points[point.id];
        uint32 freeFrom = _requireFree(point.id, former, place.fromDay);
        // Versions of a district start on different days, so a point that gets free on this one is dropped by this call.
        kept = freeFrom == place.fromDay && _isLasting(former.kind) && former.kind == point.kind
            && former.nameplateW <= point.nameplateW
            && _gateways[_gatewayIds[former.gateway - 1]].districtId == place.districtId;
        _points[point.id] = Point(place.gateway, place.manifest, point.kind, false, point.nameplateW);
    }

    /// @return freeFrom first day on which the point was or is at no gateway; 0 when it never was at one
    function _requireFree(bytes32 id, Point memory point, uint32 day) private view returns (uint32 freeFrom) {
        if (point.retired) revert PointRetired(id);
        if (point.gateway == 0) return 0;
        bytes32 gatewayId = _gatewayIds[point.gateway - 1];
        freeFrom = _freeFrom(gatewayId, point.manifest);
        if (freeFrom == NEVER) revert PointTaken(id, gatewayId);
        if (freeFrom > day) revert PointNotYetFree(id, freeFrom, day);
    }

    /// @return day on which the gateway's manifest ends; NEVER while it is the latest
    function _freeFrom(bytes32 gatewayId, uint256 manifest) private view returns (uint32 day) {
        return manifest == _gateways[gatewayId].manifests ? NEVER : _manifests[gatewayId][manifest + 1].fromDay;
    }

    function _requireNextDay(uint32 fromDay, uint32 formerDay) private view {
        uint256 today = block.timestamp / 1 days;
        uint256 earliest = (formerDay > today ? formerDay : today) + 1;
        uint256 latest = today + MOST_DAYS_AHEAD;
        if (fromDay < earliest || fromDay > latest) {
            revert FromDayOutOfRange(fromDay, uint32(earliest), uint32(latest));
        }
    }

    /// @dev Serials and commitments cannot be taken for each other, so an open point never becomes a member's or vice versa.
    function _requireIdentifier(bytes32 id, bool isMember) private pure {
        if (Slug.isSerial(id)) {
            if (isMember) revert ReadableMember(id);
        } else if (!isMember || id == 0) {
            revert InvalidSerial(id);
        }
    }

    /// @dev The ledger's packed sums of an hour must hold every point at its cap in both directions.
    function _requireFits(Tally memory total) private pure {
        if (total.openPoints > type(uint16).max) revert TooManyPoints(total.openPoints, type(uint16).max);
        if (total.members > type(uint16).max) revert TooManyPoints(total.members, type(uint16).max);
        uint256[LANES] memory capsWh = total.capsWh;
        _requireLane("grid", capsWh[Kind.GRID]);
        _requireLane("generation and load", capsWh[Kind.GENERATION] + capsWh[Kind.FUEL_GENERATION] + capsWh[Kind.LOAD]);
        _requireLane("storage and vehicles", capsWh[Kind.STORAGE] + capsWh[Kind.VEHICLE]);
        for (uint256 lane = FIRST_CARRIER_LANE; lane < LANES; ++lane) {
            _requireLane("carrier", capsWh[lane]);
        }
    }

    function _requireLane(string memory name, uint256 capWh) private pure {
        if (capWh > type(uint32).max) revert CapsTooLarge(name, capWh, type(uint32).max);
    }

    /// @dev Without a restart nothing may go that the balance must account for. A battery or a vehicle may: what it did
    /// unseen would show as a violated conservation, or is imported at the marginal factor where the load is not metered.
    function _isLasting(uint8 kind) private pure returns (bool) {
        return kind != Kind.STORAGE && kind != Kind.VEHICLE;
    }

    function _lane(uint8 kind) private pure returns (uint256) {
        return kind < Kind.FIRST_CARRIER ? kind : kind - Kind.FIRST_CARRIER + FIRST_CARRIER_LANE;
    }

    function _carrierCap(uint32[LANES] memory capsWh) private pure returns (uint40 capWh) {
        for (uint256 lane = FIRST_CARRIER_LANE; lane < LANES; ++lane) {
            capWh += capsWh[lane];
        }
    }

    function _foreignCap(uint32[LANES] memory capsWh) private pure returns (uint40) {
        return uint40(capsWh[Kind.VEHICLE]) + capsWh[Kind.FUEL_GENERATION];
    }

    function _sum(uint256[LANES] memory values, uint256 from) private pure returns (uint256 sum) {
        for (uint256 i = from; i < LANES; ++i) {
            sum += values[i];
        }
    }

    function _add(uint256[LANES] memory sums, uint32[LANES] storage values) private view {
        for (uint256 i = 0; i < LANES; ++i) {
            sums[i] += values[i];
        }
    }

    function _packed(uint256[LANES] memory values) private pure returns (uint32[LANES] memory packed) {
        for (uint256 i = 0; i < LANES; ++i) {
            packed[i] = uint32(values[i]);
        }
    }

    function _write(bytes memory entries, uint256 index, uint256 entry) private pure {
        for (uint256 i = 0; i < ENTRY_BYTES; ++i) {
            entries[index * ENTRY_BYTES + i] = bytes1(uint8(entry >> (56 - 8 * i)));
        }
    }

    /// @return number of the last version or manifest that starts on the day or before; 0 for none
    function _latest(
        bytes32 id,
        uint256 count,
        uint256 day,
        function(bytes32, uint256) internal view returns (uint32) startDay
    ) private view returns (uint256 number) {
        if (count == 0 || startDay(id, count) <= day) return count;
        uint256 low = 0;
        uint256 high = count;
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (startDay(id, middle) <= day) low = middle;
            else high = middle;
        }
        return low;
    }

    function _versionDay(bytes32 districtId, uint256 number) private view returns (uint32) {
        return _versions[districtId][number].fromDay;
    }

    function _manifestDay(bytes32 gatewayId, uint256 number) private view returns (uint32) {
        return _manifests[gatewayId][number].fromDay;
    }
}
