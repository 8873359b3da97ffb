// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { Boundary, GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice Two operators publish random versions of two districts over a common pool of meters and exchange meters at
/// random. Beside the Registry this keeps the plain lists, and judges removals by comparing them.
contract RegistryHandler is RegistryFixture {
    uint256 private constant SERIALS = 12;

    struct Declared {
        bytes32 id;
        uint8 kind;
        uint32 nameplateW;
    }

    /// @dev All versions of one gateway, as they would read today: an exchange renames in those still in force or to come.
    struct History {
        uint32[] fromDays;
        Declared[][] lists;
    }

    bytes32[4] public gatewayIds = [PLANT, POOL, HILL_GATEWAY, bytes32("hill-pool")];
    uint256 public published;
    uint256 public exchanged;
    uint256 public refused;
    mapping(bytes32 gatewayId => History) private _histories;
    mapping(bytes32 districtId => uint32[]) private _restarts;
    mapping(bytes32 districtId => uint32[]) private _starts;

    function setUp() public override {
        super.setUp();
        vm.prank(hillOperator);
        registry.registerGateway("hill-pool", HILL, _account("key of the hill's pool"));
    }

    function publishSome(uint256 seed, bool hill, uint8 ahead, bool both) external {
        bytes32 districtId = hill ? HILL : HARBOUR;
        uint32 fromDay = uint32(time / 1 days + 1 + ahead % 6);
        uint256 first = (hill ? 2 : 0) + (both ? 0 : seed % 2);
        GatewayBoundary[] memory list = new GatewayBoundary[](both ? 2 : 1);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = GatewayBoundary(
                gatewayIds[first + i], _randomPoints(uint256(keccak256(abi.encode(seed, i)))), points()
            );
        }
        vm.prank(hill ? hillOperator : operator);
        try registry.publishBoundary(districtId, fromDay, list) {
            ++published;
        } catch {
            ++refused;
            return;
        }
        _judge(districtId, fromDay, list);
        for (uint256 i = 0; i < list.length; ++i) {
            History storage history = _histories[list[i].gatewayId];
            history.fromDays.push(fromDay);
            history.lists.push();
            Declared[] storage stored = history.lists[history.lists.length - 1];
            for (uint256 j = 0; j < list[i].open.length; ++j) {
                PointDeclaration memory p = list[i].open[j];
                stored.push(Declared(p.id, p.kind, p.nameplateW));
            }
        }
    }

    function exchange(uint256 oldSerial, uint256 newSerial, bool hill) external {
        bytes32 oldId = _serial(oldSerial % SERIALS);
        bytes32 newId = _serial(newSerial % SERIALS);
        vm.prank(hill ? hillOperator : operator);
        try registry.exchangeMeter(hill ? HILL : HARBOUR, oldId, newId) {
            ++exchanged;
        } catch {
            ++refused;
            return;
        }
        for (uint256 g = 0; g < 4; ++g) {
            History storage history = _histories[gatewayIds[g]];
            for (uint256 v = 0; v < history.lists.length; ++v) {
                if (v + 1 < history.lists.length && history.fromDays[v + 1] <= time / 1 days) continue;
                Declared[] storage list = history.lists[v];
                for (uint256 i = 0; i < list.length; ++i) {
                    if (list[i].id == oldId) list[i].id = newId;
                }
            }
        }
    }

    function wait_(uint256 seconds_) external {
        warpTo(time + bound(seconds_, 1, 4 days));
    }

    /// @notice Number of pairs of gateways that list the same meter on the same day, from today on.
    function pointsInTwoPlaces() external view returns (uint256 count) {
        for (uint256 day = time / 1 days; day < time / 1 days + 8; ++day) {
            for (uint256 a = 0; a < 4; ++a) {
                Declared[] memory left = listOn(gatewayIds[a], day);
                for (uint256 b = a; b < 4; ++b) {
                    Declared[] memory right = listOn(gatewayIds[b], day);
                    for (uint256 i = 0; i < left.length; ++i) {
                        for (uint256 j = a == b ? i + 1 : 0; j < right.length; ++j) {
                            if (left[i].id == right[j].id) ++count;
                        }
                    }
                }
            }
        }
    }

    /// @notice Whether boundary() answers like the plain lists, on every day that ever mattered.
    function boundariesAgree() external view returns (bool) {
        bytes32[2] memory districts = [HARBOUR, HILL];
        for (uint256 d = 0; d < 2; ++d) {
            bytes32 districtId = districts[d];
            for (uint256 day = TODAY; day < time / 1 days + 8; ++day) {
                Boundary memory actual = registry.boundary(districtId, day);
                uint256 openPoints = 0;
                uint256 gridCapWh = 0;
                bool loadMetered = false;
                for (uint256 g = 2 * d; g < 2 * d + 2; ++g) {
                    Declared[] memory list = listOn(gatewayIds[g], day);
                    openPoints += list.length;
                    for (uint256 i = 0; i < list.length; ++i) {
                        if (list[i].kind == Kind.GRID) gridCapWh += uint256(list[i].nameplateW) * 11 / 10;
                        if (list[i].kind == Kind.LOAD) loadMetered = true;
                    }
                }
                uint256 version = 0;
                while (version < _starts[districtId].length && _starts[districtId][version] <= day) ++version;
                uint32 restartDay = version == 0 ? 0 : _restarts[districtId][version - 1];
                if (
                    actual.version != version || actual.openPoints != openPoints || actual.gridCapWh != gridCapWh
                        || actual.loadMetered != loadMetered || actual.restartDay != restartDay
                ) return false;
            }
        }
        return true;
    }

    function listOn(bytes32 gatewayId, uint256 day) public view returns (Declared[] memory) {
        History storage history = _histories[gatewayId];
        for (uint256 v = history.fromDays.length; v > 0; --v) {
            if (history.fromDays[v - 1] <= day) return history.lists[v - 1];
        }
        return new Declared[](0);
    }

    /// @dev The restart by comparison: everything but storage that the former version had must be in the new one.
    function _judge(bytes32 districtId, uint32 fromDay, GatewayBoundary[] memory list) private {
        uint256 known = _starts[districtId].length;
        bool restart = known == 0;
        for (uint256 g = 0; g < list.length; ++g) {
            Declared[] memory former = listOn(list[g].gatewayId, type(uint32).max);
            for (uint256 i = 0; i < former.length; ++i) {
                if (former[i].kind == Kind.STORAGE) continue;
                if (!_isKept(former[i], list)) restart = true;
            }
        }
        _restarts[districtId].push(restart ? fromDay : _restarts[districtId][known - 1]);
        _starts[districtId].push(fromDay);
    }

    function _isKept(Declared memory former, GatewayBoundary[] memory list) private pure returns (bool) {
        for (uint256 g = 0; g < list.length; ++g) {
            for (uint256 i = 0; i < list[g].open.length; ++i) {
                PointDeclaration memory p = list[g].open[i];
                if (p.id == former.id) return p.kind == former.kind && p.nameplateW >= former.nameplateW;
            }
        }
        return false;
    }

    function _randomPoints(uint256 seed) private pure returns (PointDeclaration[] memory list) {
        uint8[4] memory kinds = [Kind.GRID, Kind.GENERATION, Kind.STORAGE, Kind.LOAD];
        uint256 count = seed % 5;
        list = new PointDeclaration[](count);
        uint256 serial = seed >> 8;
        for (uint256 i = 0; i < count; ++i) {
            serial += 1 + (seed >> (16 + 4 * i)) % 3;
            uint256 rare = (seed >> (64 + 4 * i)) % 8;
            uint256 index = serial % SERIALS;
            list[i] = point(_serial(index), kinds[rare == 0 ? 2 : index % 4], rare == 1 ? 900 : 1000);
        }
    }

    function _serial(uint256 i) private pure returns (bytes32) {
        return bytes32(abi.encodePacked("M", bytes1(uint8(65 + i))));
    }
}

contract RegistryInvariantTest is RegistryFixture {
    RegistryHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new RegistryHandler();
        handler.setUp();
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = RegistryHandler.publishSome.selector;
        selectors[1] = RegistryHandler.exchange.selector;
        selectors[2] = RegistryHandler.wait_.selector;
        targetSelector(address(handler), selectors);
    }

    /// @dev Both in one, because each invariant is a campaign of its own.
    function invariant_a_point_is_in_at_most_one_place_and_boundaries_agree_with_plain_lists() public view {
        assertEq(handler.pointsInTwoPlaces(), 0);
        assertTrue(handler.boundariesAgree());
    }

    /// @notice The random calls do reach the interesting states: a run of them both publishes and exchanges.
    function test_random_calls_publish_and_exchange() public {
        for (uint256 i = 0; i < 100; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            handler.publishSome(seed, seed % 2 == 0, uint8(seed >> 8), seed % 3 == 0);
            handler.exchange(seed >> 16, seed >> 32, seed % 2 == 0);
            if (i % 4 == 0) handler.wait_(seed);
            if (i % 10 != 9) continue;
            assertEq(handler.pointsInTwoPlaces(), 0);
            assertTrue(handler.boundariesAgree());
        }
        assertTrue(handler.published() > 10, "too few versions published");
        assertTrue(handler.exchanged() > 0, "too few meters exchanged");
        assertTrue(handler.refused() > 10, "too few refusals");
    }
}
