// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAccessControl } from "@openzeppelin/contracts/access/IAccessControl.sol";
import { IRegistry } from "contracts/interfaces/IRegistry.sol";
import { Slug } from "contracts/libraries/Slug.sol";
import { Compromise, District } from "contracts/types/Boundary.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice Organisations, roles, schemes, districts, gateways and keys.
contract RegistryOrganisationsTest is RegistryFixture {
    IAccessControl private roles;

    function setUp() public override {
        super.setUp();
        roles = IAccessControl(address(registry));
    }

    // --- identifiers

    function test_slugs_have_the_characters_a_to_z_0_to_9_and_hyphen() public pure {
        assertTrue(Slug.isSlug("a"));
        assertTrue(Slug.isSlug("la-palma-2025"));
        assertTrue(Slug.isSlug("abcdefghijklmnopqrstuvwxyz012345"));
        assertFalse(Slug.isSlug(0));
        assertFalse(Slug.isSlug("A"));
        assertFalse(Slug.isSlug("a b"));
        assertFalse(Slug.isSlug("a/b"));
        assertFalse(Slug.isSlug("a.b"));
        assertFalse(Slug.isSlug(bytes32(uint256(1))));
        assertFalse(Slug.isSlug(bytes32(hex"610062")));
        assertTrue(Slug.isSerial("EMS-7.1_B"));
        assertFalse(Slug.isSerial("EMS 7"));
    }

    function testFuzz_slug_agrees_with_the_definition(bytes32 id, uint8 length) public pure {
        bytes memory alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-";
        length = uint8(bound(length, 0, 32));
        bytes memory text = new bytes(32);
        for (uint256 i = 0; i < length; ++i) {
            text[i] = alphabet[uint8(id[i]) % alphabet.length];
        }
        assertEq(Slug.isSlug(bytes32(text)), length > 0);
        bool allowed = true;
        bool ended = false;
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 c = id[i];
            if (c == 0) ended = true;
            else if (ended || !((c >= "a" && c <= "z") || (c >= "0" && c <= "9") || c == "-")) allowed = false;
        }
        assertEq(Slug.isSlug(id), allowed && id[0] != 0);
    }

    // --- organisations and roles

    function test_only_administrators_register_and_enrol() public {
        bytes32 role = registry.AUDITOR();
        bytes memory refused =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, owner, bytes32(0));
        vm.startPrank(owner);
        vm.expectRevert(refused);
        registry.registerOrganisation("mine", "Mine");
        vm.expectRevert(refused);
        registry.enrol(owner, "harbour-owners", role);
        vm.expectRevert(refused);
        registry.dismiss(operator, role);
        vm.expectRevert(refused);
        registry.registerScheme("mine", scheme());
        vm.expectRevert(refused);
        registry.registerDistrict("mine", ZONE, "harbour-owners", "metering", 5);
        vm.expectRevert(refused);
        roles.grantRole(role, owner);
        vm.stopPrank();
    }

    function test_account_belongs_to_one_organisation_for_ever() public {
        bytes32 auditor = registry.AUDITOR();
        bytes32 operatorRole = registry.METER_OPERATOR();
        vm.startPrank(administrator);
        vm.expectRevert(
            abi.encodeWithSelector(IRegistry.OtherOrganisation.selector, operator, bytes32("grid"), bytes32("metering"))
        );
        registry.enrol(operator, "grid", auditor);
        registry.dismiss(operator, operatorRole);
        assertFalse(roles.hasRole(operatorRole, operator));
        vm.expectRevert(
            abi.encodeWithSelector(IRegistry.OtherOrganisation.selector, operator, bytes32("grid"), bytes32("metering"))
        );
        registry.enrol(operator, "grid", auditor);
        registry.enrol(operator, "metering", auditor);
        vm.stopPrank();
        assertTrue(roles.hasRole(auditor, operator));
        assertEq(registry.organisationOf(operator), "metering");
    }

    function test_grantRole_is_no_way_around_enrolment() public {
        bytes32 auditor = registry.AUDITOR();
        vm.startPrank(administrator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.NotEnrolled.selector, stranger));
        roles.grantRole(auditor, stranger);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownRole.selector, keccak256("GOD")));
        roles.grantRole(keccak256("GOD"), owner);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownRole.selector, keccak256("GOD")));
        registry.enrol(owner, "harbour-owners", keccak256("GOD"));
        roles.grantRole(auditor, owner);
        vm.stopPrank();
        assertTrue(roles.hasRole(auditor, owner));
        assertFalse(roles.hasRole(auditor, stranger));
    }

    function test_the_last_administrator_stays() public {
        bytes memory refused = abi.encodeWithSelector(IRegistry.LastAdministrator.selector, administrator);
        vm.startPrank(administrator);
        vm.expectRevert(refused);
        registry.dismiss(administrator, 0);
        vm.expectRevert(refused);
        registry.revokeRole(0, administrator);
        vm.expectRevert(refused);
        roles.renounceRole(0, administrator);
        registry.enrol(stranger, "authority", 0);
        registry.enrol(stranger, "authority", 0); // a second time counts once
        registry.dismiss(administrator, 0);
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.LastAdministrator.selector, stranger));
        roles.renounceRole(0, stranger);
    }

    function test_organisations_need_a_new_slug_and_a_name() public {
        vm.startPrank(administrator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AlreadyRegistered.selector, bytes32("grid")));
        registry.registerOrganisation("grid", "Another");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidSlug.selector, bytes32("Grid")));
        registry.registerOrganisation("Grid", "Another");
        vm.expectRevert(abi.encodeWithSelector(IRegistry.EmptyName.selector, bytes32("other")));
        registry.registerOrganisation("other", "");
        bytes32 auditor = registry.AUDITOR();
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownOrganisation.selector, bytes32("other")));
        registry.enrol(stranger, "other", auditor);
        vm.expectRevert(IRegistry.ZeroAddress.selector);
        registry.enrol(address(0), "grid", auditor);
        vm.stopPrank();
    }

    // --- schemes and districts

    function test_schemes_are_written_once() public {
        Scheme memory other = scheme();
        other.quorum = 1;
        vm.prank(administrator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AlreadyRegistered.selector, SCHEME));
        registry.registerScheme(SCHEME, other);
        assertEq(registry.scheme(SCHEME).quorum, 2);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownScheme.selector, bytes32("none")));
        registry.scheme("none");
    }

    function _refuseScheme(Scheme memory wrong, bytes memory reason) private {
        vm.prank(administrator);
        vm.expectRevert(reason);
        registry.registerScheme("wrong", wrong);
    }

    function test_schemes_that_could_not_work_are_refused() public {
        Scheme memory wrong = scheme();
        (wrong.fMin, wrong.fMax) = (2, 1);
        _refuseScheme(wrong, abi.encodeWithSelector(IRegistry.SchemeRange.selector, 2, 1));
        wrong = scheme();
        (wrong.gMin, wrong.gMax) = (2, 1);
        _refuseScheme(wrong, abi.encodeWithSelector(IRegistry.SchemeRange.selector, 2, 1));
        wrong = scheme();
        wrong.gMin = 1;
        _refuseScheme(wrong, abi.encodeWithSelector(IRegistry.MinimumNotZero.selector, 1));
        wrong = scheme();
        (wrong.nonRenewable, wrong.fMin) = (true, 1);
        _refuseScheme(wrong, abi.encodeWithSelector(IRegistry.MinimumNotZero.selector, 1));
        wrong = scheme();
        wrong.minimumMembers = 4;
        _refuseScheme(wrong, abi.encodeWithSelector(IRegistry.MinimumMembersTooLow.selector, 4, 5));
        bytes4 range = IRegistry.SchemeValueOutOfRange.selector;
        wrong = scheme();
        wrong.toleranceBp = 10_001;
        _refuseScheme(wrong, abi.encodeWithSelector(range, "toleranceBp", 10_001, 0, 10_000));
        wrong = scheme();
        wrong.quorum = 0;
        _refuseScheme(wrong, abi.encodeWithSelector(range, "quorum", 0, 1, 255));
        wrong = scheme();
        wrong.challengeDays = 0;
        _refuseScheme(wrong, abi.encodeWithSelector(range, "challengeDays", 0, 1, 65_535));
        wrong = scheme();
        wrong.decisionDays = 0;
        _refuseScheme(wrong, abi.encodeWithSelector(range, "decisionDays", 0, 1, 65_535));
        wrong = scheme();
        wrong.validityDays = 0;
        _refuseScheme(wrong, abi.encodeWithSelector(range, "validityDays", 0, 1, 65_535));
        vm.prank(administrator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidSlug.selector, bytes32("Wrong")));
        registry.registerScheme("Wrong", scheme());
    }

    function test_districts_name_known_organisations_and_are_written_once() public {
        District memory harbour = registry.district(HARBOUR);
        assertEq(harbour.zone, ZONE);
        assertEq(harbour.ownerOrg, "harbour-owners");
        assertEq(harbour.operatorOrg, "metering");
        assertEq(harbour.minimumMembers, 5);
        vm.startPrank(administrator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AlreadyRegistered.selector, HARBOUR));
        registry.registerDistrict(HARBOUR, ZONE, "grid", "grid", 5);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownOrganisation.selector, bytes32("none")));
        registry.registerDistrict("new", ZONE, "none", "grid", 5);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownOrganisation.selector, bytes32("none")));
        registry.registerDistrict("new", ZONE, "grid", "none", 5);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.MinimumMembersTooLow.selector, 4, 5));
        registry.registerDistrict("new", ZONE, "grid", "grid", 4);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.InvalidSlug.selector, bytes32("ES")));
        registry.registerDistrict("new", "ES", "grid", "grid", 5);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IRegistry.UnknownDistrict.selector, bytes32("new")));
        registry.district("new");
    }

    // --- gateways and keys

    function test_only_the_districts_meter_operator_handles_its_gateways() public {
        bytes memory refused = abi.encodeWithSelector(
            IRegistry.OtherOrganisation.selector, hillOperator, bytes32("hill-metering"), bytes32("metering")
        );
        vm.startPrank(hillOperator);
        vm.expectRevert(refused);
        registry.registerGateway("other", HARBOUR, stranger);
        vm.expectRevert(refused);
        registry.rotateKey(PLANT, stranger);
        vm.expectRevert(refused);
        registry.revokeKey(PLANT, 0);
        vm.stopPrank();
        bytes memory noRole = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, administrator, registry.METER_OPERATOR()
        );
        vm.startPrank(administrator);
        vm.expectRevert(noRole);
        registry.registerGateway("other", HARBOUR, stranger);
        vm.expectRevert(noRole);
        registry.rotateKey(PLANT, stranger);
        vm.stopPrank();
    }

    function test_a_dismissed_operator_can_do_nothing_more() public {
        bytes32 role = registry.METER_OPERATOR();
        vm.prank(administrator);
        registry.dismiss(operator, role);
        vm.prank(operator);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, operator, role)
        );
        registry.rotateKey(PLANT, stranger);
    }

    function test_a_gateway_belongs_to_one_district_for_ever() public {
        vm.prank(hillOperator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.AlreadyRegistered.selector, PLANT));
        registry.registerGateway(PLANT, HILL, stranger);
        assertEq(registry.gateway(PLANT).districtId, HARBOUR);
        bytes32[] memory list = registry.gateways(HARBOUR);
        assertEq(list.length, 2);
        assertEq(list[0], PLANT);
        assertEq(list[1], POOL);
        assertEq(registry.gateway("none").districtId, 0);
    }

    function test_a_district_has_at_most_64_gateways() public {
        vm.startPrank(operator);
        for (uint256 i = 2; i < 64; ++i) {
            registry.registerGateway(_name(i), HARBOUR, address(uint160(i)));
        }
        vm.expectRevert(abi.encodeWithSelector(IRegistry.TooManyGateways.selector, HARBOUR, 64));
        registry.registerGateway(_name(64), HARBOUR, address(uint160(64)));
        vm.stopPrank();
        assertEq(registry.gateways(HARBOUR).length, 64);
    }

    function _name(uint256 i) private pure returns (bytes32) {
        return bytes32(abi.encodePacked("g", bytes1(uint8(48 + i / 10)), bytes1(uint8(48 + i % 10))));
    }

    function test_a_key_is_never_used_twice() public {
        address first = registry.gateway(PLANT).key;
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.KeyUsedBefore.selector, first, PLANT));
        registry.registerGateway("third", HARBOUR, first);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.KeyUsedBefore.selector, first, PLANT));
        registry.rotateKey(PLANT, first);
        registry.rotateKey(PLANT, stranger);
        assertEq(registry.gateway(PLANT).key, stranger);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.KeyUsedBefore.selector, first, PLANT));
        registry.rotateKey(PLANT, first);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.KeyUsedBefore.selector, stranger, PLANT));
        registry.rotateKey(POOL, stranger);
        vm.expectRevert(IRegistry.ZeroAddress.selector);
        registry.rotateKey(POOL, address(0));
        vm.stopPrank();
        assertEq(registry.gatewayOfKey(first), PLANT);
        assertEq(registry.compromiseCount(HARBOUR), 0);
    }

    function test_a_revoked_key_is_missing_until_it_is_replaced() public {
        vm.startPrank(operator);
        registry.revokeKey(PLANT, 0);
        assertEq(registry.gateway(PLANT).key, address(0));
        assertEq(registry.keysMissing(HARBOUR), 1);
        assertEq(registry.keysMissing(HILL), 0);
        assertFalse(registry.gateway(PLANT).everCompromised);
        vm.expectRevert(abi.encodeWithSelector(IRegistry.KeyAlreadyRevoked.selector, PLANT));
        registry.revokeKey(PLANT, 0);
        registry.revokeKey(POOL, START);
        assertEq(registry.keysMissing(HARBOUR), 2);
        registry.rotateKey(PLANT, stranger);
        registry.rotateKey(POOL, _account("another"));
        vm.stopPrank();
        assertEq(registry.keysMissing(HARBOUR), 0);
        assertTrue(registry.gateway(POOL).everCompromised);
    }

    function test_a_compromise_can_be_reported_after_the_revocation_once_it_is_known() public {
        warpTo(START + 10 days);
        vm.startPrank(operator);
        registry.revokeKey(PLANT, 0);
        registry.revokeKey(PLANT, START + 5);
        vm.stopPrank();
        assertEq(registry.keysMissing(HARBOUR), 1);
        assertEq(registry.compromiseCount(HARBOUR), 1);
        Compromise memory entry = registry.compromise(HARBOUR, 0);
        assertEq(entry.gatewayId, PLANT);
        assertEq(entry.since, START + 5);
        assertEq(entry.revokedAt, START + 10 days);
        assertTrue(registry.gateway(PLANT).everCompromised);
        assertFalse(registry.gateway(POOL).everCompromised);
    }

    function test_a_compromise_lies_between_registration_and_now() public {
        uint64 now_ = START + 1 days;
        warpTo(now_);
        vm.startPrank(operator);
        bytes4 selector = IRegistry.CompromiseOutOfRange.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, START - 1, START, now_));
        registry.revokeKey(PLANT, START - 1);
        vm.expectRevert(abi.encodeWithSelector(selector, now_ + 1, START, now_));
        registry.revokeKey(PLANT, now_ + 1);
        registry.revokeKey(PLANT, START);
        registry.revokeKey(PLANT, now_);
        vm.stopPrank();
        assertEq(registry.compromiseCount(HARBOUR), 2);
    }
}
