// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { ForgeTest } from "testing/ForgeTest.sol";

/// @notice A Registry with the organisations of two districts, one scheme, and short ways to declare points.
abstract contract RegistryFixture is ForgeTest {
    uint256 internal constant TODAY = 20_000;
    uint64 internal constant START = uint64(TODAY * 1 days + 3 hours);
    bytes32 internal constant HARBOUR = "harbour";
    bytes32 internal constant HILL = "hill";
    bytes32 internal constant ZONE = "es-ct";
    bytes32 internal constant SCHEME = "ped-total-dynamic";
    bytes32 internal constant PLANT = "harbour-plant";
    bytes32 internal constant POOL = "harbour-pool";
    bytes32 internal constant HILL_GATEWAY = "hill-plant";

    /// @dev What warpTo set. The compiler takes block.timestamp for constant within a test: never read it after a warp.
    uint256 internal time = START;

    address internal immutable administrator = _account("administrator");
    address internal immutable owner = _account("owner of harbour");
    address internal immutable operator = _account("operator of harbour");
    address internal immutable hillOperator = _account("operator of hill");
    address internal immutable publisher = _account("publisher");
    address internal immutable stranger = _account("stranger");

    IRegistry internal registry;

    function setUp() public virtual {
        vm.warp(START);
        registry =
            IRegistry(deploy("Registry", abi.encode(administrator, bytes32("authority"), "Certification authority")));
        vm.startPrank(administrator);
        registry.registerOrganisation("harbour-owners", "Owners of the harbour");
        registry.registerOrganisation("hill-owners", "Owners of the hill");
        registry.registerOrganisation("metering", "Metering company");
        registry.registerOrganisation("hill-metering", "Metering company of the hill");
        registry.registerOrganisation("grid", "Grid operator");
        registry.enrol(owner, "harbour-owners", registry.DISTRICT_OWNER());
        registry.enrol(operator, "metering", registry.METER_OPERATOR());
        registry.enrol(hillOperator, "hill-metering", registry.METER_OPERATOR());
        registry.enrol(publisher, "grid", registry.FACTOR_PUBLISHER());
        registry.registerScheme(SCHEME, scheme());
        registry.registerDistrict(HARBOUR, ZONE, "harbour-owners", "metering", 5);
        registry.registerDistrict(HILL, ZONE, "hill-owners", "hill-metering", 5);
        vm.stopPrank();
        vm.startPrank(operator);
        registry.registerGateway(PLANT, HARBOUR, _account("key of the plant"));
        registry.registerGateway(POOL, HARBOUR, _account("key of the pool"));
        vm.stopPrank();
        vm.prank(hillOperator);
        registry.registerGateway(HILL_GATEWAY, HILL, _account("key of the hill"));
    }

    function warpTo(uint256 timestamp) internal {
        time = timestamp;
        vm.warp(timestamp);
    }

    function scheme() internal pure returns (Scheme memory) {
        return Scheme({
            nonRenewable: false,
            isStatic: false,
            fMin: 0,
            fMax: 3000,
            gMin: 0,
            gMax: 1000,
            toleranceBp: 200,
            toleranceWh: 50,
            minimumMembers: 5,
            quorum: 2,
            challengeDays: 14,
            decisionDays: 30,
            validityDays: 365
        });
    }

    function point(bytes32 id, uint8 kind, uint32 nameplateW) internal pure returns (PointDeclaration memory) {
        return PointDeclaration({
            id: id,
            kind: kind,
            renewable: false,
            registerDigits: 0,
            efficiencyPermille: 0,
            nameplateW: nameplateW,
            capacityWh: 0
        });
    }

    function points() internal pure returns (PointDeclaration[] memory) {
        return new PointDeclaration[](0);
    }

    function points(PointDeclaration memory a) internal pure returns (PointDeclaration[] memory list) {
        list = new PointDeclaration[](1);
        list[0] = a;
    }

    function points(PointDeclaration memory a, PointDeclaration memory b)
        internal
        pure
        returns (PointDeclaration[] memory list)
    {
        list = new PointDeclaration[](2);
        (list[0], list[1]) = (a, b);
    }

    function points(PointDeclaration memory a, PointDeclaration memory b, PointDeclaration memory c)
        internal
        pure
        returns (PointDeclaration[] memory list)
    {
        list = new PointDeclaration[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }

    /// @notice The same kind for `count` members of a household group, under made-up commitments.
    function members(string memory salt, uint8 kind, uint32 nameplateW, uint256 count)
        internal
        pure
        returns (PointDeclaration[] memory list)
    {
        list = new PointDeclaration[](count);
        for (uint256 i = 0; i < count; ++i) {
            list[i] = point(keccak256(abi.encode(salt, i)), kind, nameplateW);
        }
    }

    function change(bytes32 gatewayId, PointDeclaration[] memory open) internal pure returns (GatewayBoundary memory) {
        return GatewayBoundary(gatewayId, open, points());
    }

    function changes(GatewayBoundary memory a) internal pure returns (GatewayBoundary[] memory list) {
        list = new GatewayBoundary[](1);
        list[0] = a;
    }

    function changes(GatewayBoundary memory a, GatewayBoundary memory b)
        internal
        pure
        returns (GatewayBoundary[] memory list)
    {
        list = new GatewayBoundary[](2);
        (list[0], list[1]) = (a, b);
    }

    function publish(uint256 fromDay, GatewayBoundary[] memory list) internal {
        vm.prank(operator);
        registry.publishBoundary(HARBOUR, uint32(fromDay), list);
    }

    function publishHill(uint256 fromDay, GatewayBoundary[] memory list) internal {
        vm.prank(hillOperator);
        registry.publishBoundary(HILL, uint32(fromDay), list);
    }

    function _account(string memory name) internal pure returns (address) {
        return address(uint160(uint256(keccak256(bytes(name)))));
    }
}
