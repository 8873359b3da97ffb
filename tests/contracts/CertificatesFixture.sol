// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ICertificates } from "contracts/interfaces/ICertificates.sol";
import { IAssessments, Totals } from "contracts/interfaces/IAssessments.sol";
import { Assessment, Finding, Verdict } from "contracts/types/Verdict.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice Assessments whose verdict the test decides, so that every order of events can be tried; the journey with the
/// real contract is in CertificatesJourney.t.sol.
contract AssessmentsDouble is IAssessments {
    mapping(bytes32 id => Assessment) private _assessments;
    mapping(bytes32 id => Verdict) private _latest;

    function set(bytes32 id, Assessment memory assessment_) external {
        _assessments[id] = assessment_;
    }

    function setLatest(bytes32 id, Finding finding, uint32 windowEnd) external {
        _latest[id].finding = finding;
        _latest[id].windowEnd = windowEnd;
        _latest[id].windowStart = windowEnd - 365;
        _assessments[id].frontier = windowEnd;
    }

    function assessment(bytes32 id) external view returns (Assessment memory) {
        return _assessments[id];
    }

    function latestVerdict(bytes32 id) external view returns (Verdict memory) {
        return _latest[id];
    }

    /// @dev The latest finding for every day that is finalised.
    function verdict(bytes32 id, uint32 windowEnd) external view returns (Verdict memory verdict_) {
        verdict_ = _latest[id];
        verdict_.windowEnd = windowEnd;
        if (windowEnd > _assessments[id].frontier) verdict_.finding = Finding.NotFinal;
    }

    function openAssessment(bytes32, bytes32, bytes32, uint32) external pure returns (bytes32) {
        revert("not part of the double");
    }

    function finalise(bytes32, uint256) external pure returns (uint256) {
        revert("not part of the double");
    }

    function bookAdjustments(bytes32, uint256) external pure returns (uint256) {
        revert("not part of the double");
    }

    function cumulative(bytes32, uint32) external pure returns (Totals memory, Totals memory) {
        revert("not part of the double");
    }

    function adjustmentsBooked(bytes32) external pure returns (uint256) {
        revert("not part of the double");
    }

    function attributeChangesBooked(bytes32) external pure returns (uint256) {
        revert("not part of the double");
    }
}

/// @notice Certificates over the double, with four independent auditors' organisations (two accounts in the first).
abstract contract CertificatesFixture is RegistryFixture {
    bytes32 internal constant ASSESSMENT = "assessment";
    bytes32 internal constant OTHER_VINTAGE = "assessment of another vintage";
    uint64 internal constant CHALLENGE = 14 days;
    uint64 internal constant DECISION = 30 days;
    uint64 internal constant VALIDITY = 365 days;
    bytes32 internal constant REASON = keccak256("reason");

    address[4] internal auditors;
    address internal secondKeyOfFirstAuditor;
    AssessmentsDouble internal assessments;
    ICertificates internal certificates;

    function setUp() public virtual override {
        super.setUp();
        bytes32 role = registry.AUDITOR();
        vm.startPrank(administrator);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32 organisationId = bytes32(abi.encodePacked("auditors-", bytes1(uint8(97 + i))));
            registry.registerOrganisation(organisationId, "Auditors");
            auditors[i] = _account(string(abi.encodePacked("auditor ", bytes1(uint8(97 + i)))));
            registry.enrol(auditors[i], organisationId, role);
        }
        secondKeyOfFirstAuditor = _account("second key of the first auditor");
        registry.enrol(secondKeyOfFirstAuditor, "auditors-a", role);
        // Organisations with an interest that are accredited as auditors all the same.
        registry.enrol(owner, "harbour-owners", role);
        registry.enrol(operator, "metering", role);
        vm.stopPrank();
        assessments = new AssessmentsDouble();
        certificates = ICertificates(deploy("Certificates", abi.encode(registry, assessments)));
        assessments.set(ASSESSMENT, Assessment(HARBOUR, SCHEME, "mix-2024", uint32(TODAY - 400), uint32(TODAY - 400)));
        assessments.set(OTHER_VINTAGE, Assessment(HARBOUR, SCHEME, "mix-2025", uint32(TODAY - 400), uint32(TODAY - 7)));
        assessments.setLatest(OTHER_VINTAGE, Finding.Positive, uint32(TODAY - 7));
        setVerdict(Finding.Positive);
    }

    /// @notice The verdict of a district whose last final day is seven days ago.
    function setVerdict(Finding finding) internal {
        assessments.setLatest(ASSESSMENT, finding, today() - 7);
    }

    function today() internal view returns (uint32) {
        return uint32(time / 1 days);
    }

    function applied() internal returns (uint256) {
        vm.prank(owner);
        return certificates.applyFor(ASSESSMENT);
    }

    function provisional() internal returns (uint256 id) {
        id = applied();
        vm.prank(auditors[3]);
        certificates.grantProvisional(id);
    }

    function requested() internal returns (uint256 id) {
        id = provisional();
        certificates.request(id, today() - 7);
    }

    function certified() internal returns (uint256 id) {
        id = requested();
        warpTo(time + CHALLENGE);
        setVerdict(Finding.Positive);
        certificates.confirm(id);
    }

    function challengeBy(uint256 auditor, uint256 id) internal {
        vm.prank(auditors[auditor]);
        certificates.challenge(id, keccak256("evidence"));
    }

    function voteBy(uint256 auditor, uint256 id, bool uphold) internal {
        vm.prank(auditors[auditor]);
        certificates.voteChallenge(id, uphold);
    }

    function revokeBy(uint256 auditor, uint256 id, uint64 until) internal {
        vm.prank(auditors[auditor]);
        certificates.voteRevocation(id, REASON, until);
    }
}
