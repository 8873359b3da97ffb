// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ICertificates } from "contracts/interfaces/ICertificates.sol";
import { Certificate, Decision, Proceeding, Status } from "contracts/types/Certificate.sol";
import { Assessment, Finding } from "contracts/types/Verdict.sol";
import { CertificatesFixture } from "testing/CertificatesFixture.sol";

/// @notice The life of a certificate, step by step and second by second.
contract CertificatesTest is CertificatesFixture {
    function _assertStatus(uint256 id, Status expected) private view {
        assertEq(uint256(certificates.statusOf(id)), uint256(expected));
        assertEq(certificates.isValid(id), expected == Status.Certified);
    }

    // --- application

    function test_the_owner_applies() public {
        uint256 id = applied();
        assertEq(id, 1);
        assertEq(certificates.certificateCount(), 1);
        assertEq(certificates.certificateOf(ASSESSMENT), 1);
        _assertStatus(id, Status.Applied);
        Certificate memory certificate = certificates.certificate(id);
        assertEq(certificate.districtId, HARBOUR);
        assertEq(certificate.schemeId, SCHEME);
        assertEq(certificate.vintageId, "mix-2024");
        assertEq(certificate.assessmentId, ASSESSMENT);
    }

    function test_nobody_else_applies() public {
        bytes32 role = registry.DISTRICT_OWNER();
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.MissingRole.selector, operator, role));
        certificates.applyFor(ASSESSMENT);
        vm.prank(administrator);
        registry.enrol(stranger, "hill-owners", role);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(
                ICertificates.OtherOrganisation.selector, stranger, bytes32("hill-owners"), bytes32("harbour-owners")
            )
        );
        certificates.applyFor(ASSESSMENT);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.UnknownAssessment.selector, bytes32("none")));
        certificates.applyFor("none");
    }

    function test_one_living_certificate_per_assessment() public {
        uint256 id = applied();
        bytes4 selector = ICertificates.AlreadyCertificate.selector;
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(selector, ASSESSMENT, id, Status.Applied));
        certificates.applyFor(ASSESSMENT);
        assertEq(certificates.applyFor(OTHER_VINTAGE), 2);
        vm.stopPrank();
        vm.prank(auditors[0]);
        certificates.grantProvisional(id);
        certificates.request(id, today() - 7);
        warpTo(time + CHALLENGE);
        setVerdict(Finding.Positive);
        certificates.confirm(id);
        setVerdict(Finding.Incomplete);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(selector, ASSESSMENT, id, Status.Suspended));
        certificates.applyFor(ASSESSMENT);
        warpTo(time + VALIDITY);
        vm.prank(owner);
        assertEq(certificates.applyFor(ASSESSMENT), 3);
        _assertStatus(id, Status.Lapsed);
        assertEq(certificates.certificateOf(ASSESSMENT), 3);
    }

    function test_unknown_certificates_are_named_and_never_valid() public {
        assertFalse(certificates.isValid(0));
        assertFalse(certificates.isValid(7));
        assertEq(uint256(certificates.statusOf(7)), uint256(Status.None));
        bytes memory unknown = abi.encodeWithSelector(ICertificates.UnknownCertificate.selector, 7);
        vm.expectRevert(unknown);
        certificates.certificate(7);
        vm.expectRevert(unknown);
        certificates.proceeding(7, 0);
        vm.expectRevert(unknown);
        certificates.request(7, today());
        vm.expectRevert(unknown);
        certificates.confirm(7);
        vm.expectRevert(unknown);
        certificates.closeChallenge(7);
        vm.startPrank(auditors[0]);
        vm.expectRevert(unknown);
        certificates.grantProvisional(7);
        vm.expectRevert(unknown);
        certificates.challenge(7, REASON);
        vm.expectRevert(unknown);
        certificates.voteChallenge(7, true);
        vm.expectRevert(unknown);
        certificates.voteRevocation(7, REASON, START + 1 days);
        vm.stopPrank();
    }

    function test_numbers_at_the_ends_of_their_range() public {
        uint256 most = type(uint256).max;
        assertFalse(certificates.isValid(most));
        bytes memory unknown = abi.encodeWithSelector(ICertificates.UnknownCertificate.selector, most);
        vm.expectRevert(unknown);
        certificates.request(most, type(uint32).max);
        vm.expectRevert(unknown);
        certificates.confirm(most);
        uint256 id = provisional();
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WindowNotNew.selector, 0, 0));
        certificates.request(id, 0);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.NotPositive.selector, type(uint32).max, uint8(Finding.NotFinal))
        );
        certificates.request(id, type(uint32).max);
        bytes4 range = ICertificates.RevocationTimeOutOfRange.selector;
        vm.startPrank(auditors[0]);
        vm.expectRevert(abi.encodeWithSelector(range, 0, START + 1, START + 1825 days));
        certificates.voteRevocation(id, REASON, 0);
        vm.expectRevert(abi.encodeWithSelector(range, type(uint64).max, START + 1, START + 1825 days));
        certificates.voteRevocation(id, REASON, type(uint64).max);
        vm.stopPrank();
    }

    // --- provisional

    function test_provisional_needs_an_independent_authority_and_a_finalised_day() public {
        uint256 id = applied();
        bytes32 role = registry.AUDITOR();
        vm.prank(publisher);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.MissingRole.selector, publisher, role));
        certificates.grantProvisional(id);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.ConflictOfInterest.selector, bytes32("harbour-owners"), HARBOUR)
        );
        certificates.grantProvisional(id);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.ConflictOfInterest.selector, bytes32("metering"), HARBOUR));
        certificates.grantProvisional(id);
        assessments.set(ASSESSMENT, Assessment(HARBOUR, SCHEME, "mix-2024", uint32(TODAY), uint32(TODAY)));
        vm.startPrank(administrator);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoFinalisedDay.selector, ASSESSMENT, TODAY));
        certificates.grantProvisional(id);
        assessments.set(ASSESSMENT, Assessment(HARBOUR, SCHEME, "mix-2024", uint32(TODAY), uint32(TODAY + 1)));
        assessments.setLatest(ASSESSMENT, Finding.BalanceNotPositive, today() - 7);
        assessments.set(ASSESSMENT, Assessment(HARBOUR, SCHEME, "mix-2024", uint32(TODAY), uint32(TODAY + 1)));
        certificates.grantProvisional(id);
        _assertStatus(id, Status.Provisional);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Provisional));
        certificates.grantProvisional(id);
        vm.stopPrank();
    }

    // --- request and confirmation

    function test_a_request_needs_a_provisional_certificate_and_a_positive_recent_verdict() public {
        uint256 id = applied();
        uint32 windowEnd = today() - 7;
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Applied));
        certificates.request(id, windowEnd);
        vm.prank(administrator);
        certificates.grantProvisional(id);
        for (uint8 finding = 1; finding <= uint8(type(Finding).max); ++finding) {
            setVerdict(Finding(finding));
            vm.expectRevert(abi.encodeWithSelector(ICertificates.NotPositive.selector, windowEnd, finding));
            certificates.request(id, windowEnd);
        }
        setVerdict(Finding.Positive);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.NotPositive.selector, windowEnd + 1, uint8(Finding.NotFinal))
        );
        certificates.request(id, windowEnd + 1);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WindowTooOld.selector, today() - 22, today() - 21));
        certificates.request(id, today() - 22);
        certificates.request(id, today() - 21);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.RequestOpen.selector, id, time + CHALLENGE + DECISION + 21 days)
        );
        certificates.request(id, windowEnd);
    }

    function test_confirmation_waits_for_the_challenge_period_to_the_second() public {
        uint256 id = requested();
        uint256 until = time + CHALLENGE;
        _assertStatus(id, Status.Provisional);
        warpTo(until - 1);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.ChallengePeriodOpen.selector, id, until));
        certificates.confirm(id);
        challengeBy(0, id);
        voteBy(0, id, false);
        voteBy(1, id, false);
        warpTo(until);
        vm.prank(auditors[1]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.ChallengePeriodOver.selector, id, until));
        certificates.challenge(id, REASON);
        certificates.confirm(id);
        _assertStatus(id, Status.Certified);
        assertEq(certificates.certificate(id).expiry, until + VALIDITY);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoOpenRequest.selector, id));
        certificates.confirm(id);
    }

    function test_confirmation_needs_a_positive_and_recent_latest_verdict() public {
        uint256 id = requested();
        uint32 windowEnd = today() - 7;
        // The verdict stays as it was: nobody finalised the days since.
        warpTo((uint256(windowEnd) + 22) * 1 days);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WindowTooOld.selector, windowEnd, windowEnd + 1));
        certificates.confirm(id);
        setVerdict(Finding.BalanceNotPositive);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.NotPositive.selector, today() - 7, uint8(Finding.BalanceNotPositive))
        );
        certificates.confirm(id);
        setVerdict(Finding.Positive);
        certificates.confirm(id);
        _assertStatus(id, Status.Certified);
    }

    function test_a_request_that_nobody_could_confirm_ends_and_can_be_made_again() public {
        uint256 id = requested();
        uint256 until = time + CHALLENGE + DECISION + 21 days;
        warpTo(until - 1);
        setVerdict(Finding.Positive);
        uint256 snapshot = vm.snapshotState();
        certificates.confirm(id);
        vm.revertToState(snapshot);
        warpTo(until);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoOpenRequest.selector, id));
        certificates.confirm(id);
        assertFalse(certificates.certificate(id).requestOpen);
        certificates.request(id, today() - 7);
        assertEq(certificates.certificate(id).requests, 2);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.ChallengePeriodOpen.selector, id, until + CHALLENGE));
        certificates.confirm(id);
    }

    // --- validity by time

    function test_valid_until_the_second_of_expiry() public {
        uint256 id = certified();
        uint256 expiry = time + VALIDITY;
        warpTo(expiry - 1);
        setVerdict(Finding.Positive);
        _assertStatus(id, Status.Certified);
        warpTo(expiry);
        setVerdict(Finding.Positive);
        _assertStatus(id, Status.Lapsed);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Lapsed));
        certificates.request(id, today() - 7);
    }

    function test_suspended_by_any_other_finding_and_back_without_a_call() public {
        uint256 id = certified();
        for (uint8 finding = 1; finding <= uint8(type(Finding).max); ++finding) {
            setVerdict(Finding(finding));
            _assertStatus(id, Status.Suspended);
        }
        setVerdict(Finding.Positive);
        _assertStatus(id, Status.Certified);
    }

    function test_suspended_when_the_window_ended_more_than_21_days_ago() public {
        uint256 id = certified();
        uint32 windowEnd = today() - 7;
        warpTo((uint256(windowEnd) + 22) * 1 days - 1);
        _assertStatus(id, Status.Certified);
        warpTo((uint256(windowEnd) + 22) * 1 days);
        _assertStatus(id, Status.Suspended);
        setVerdict(Finding.Positive);
        _assertStatus(id, Status.Certified);
    }

    function test_suspended_while_a_key_is_missing() public {
        uint256 id = certified();
        vm.prank(operator);
        registry.revokeKey(POOL, 0);
        _assertStatus(id, Status.Suspended);
        vm.prank(operator);
        registry.rotateKey(POOL, stranger);
        _assertStatus(id, Status.Certified);
        vm.prank(hillOperator);
        registry.revokeKey(HILL_GATEWAY, 0);
        _assertStatus(id, Status.Certified);
    }

    // --- renewal

    function test_renewal_opens_60_days_before_expiry() public {
        uint256 id = certified();
        uint256 expiry = time + VALIDITY;
        warpTo(expiry - 60 days - 1);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.RenewalTooEarly.selector, id, expiry - 60 days));
        certificates.request(id, uint32(expiry / 1 days - 70));
        warpTo(expiry - 60 days);
        setVerdict(Finding.Positive);
        certificates.request(id, today() - 7);
        _assertStatus(id, Status.Certified);
        warpTo(time + CHALLENGE);
        setVerdict(Finding.Positive);
        certificates.confirm(id);
        assertEq(certificates.certificate(id).expiry, expiry - 60 days + CHALLENGE + VALIDITY);
        vm.expectRevert(
            abi.encodeWithSelector(ICertificates.RenewalTooEarly.selector, id, expiry - 120 days + CHALLENGE + VALIDITY)
        );
        certificates.request(id, uint32((expiry - 60 days) / 1 days));
    }

    function test_a_certificate_that_lapsed_is_not_renewed() public {
        uint256 id = certified();
        uint256 expiry = time + VALIDITY;
        warpTo(expiry - 1);
        setVerdict(Finding.Positive);
        certificates.request(id, today() - 7);
        warpTo(expiry - 1 + CHALLENGE);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Lapsed));
        certificates.confirm(id);
        _assertStatus(id, Status.Lapsed);
    }

    function test_an_upheld_challenge_of_a_renewal_makes_it_provisional() public {
        uint256 id = certified();
        warpTo(time + VALIDITY - 30 days);
        setVerdict(Finding.Positive);
        certificates.request(id, today() - 7);
        challengeBy(0, id);
        voteBy(0, id, true);
        _assertStatus(id, Status.Certified);
        voteBy(1, id, true);
        _assertStatus(id, Status.Provisional);
        assertEq(certificates.certificate(id).expiry, 0);
    }

    function test_an_upheld_challenge_does_not_revive_a_lapsed_certificate() public {
        uint256 id = certified();
        uint256 expiry = time + VALIDITY;
        warpTo(expiry - 5 days);
        setVerdict(Finding.Positive);
        certificates.request(id, today() - 7);
        challengeBy(0, id);
        warpTo(expiry + 5 days);
        vm.prank(owner);
        uint256 next = certificates.applyFor(ASSESSMENT);
        voteBy(0, id, true);
        voteBy(1, id, true);
        _assertStatus(id, Status.Lapsed);
        _assertStatus(next, Status.Applied);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Lapsed));
        certificates.request(id, today() - 7);
    }

    // --- challenge

    function test_only_independent_auditors_challenge_and_vote() public {
        uint256 id = requested();
        bytes32 role = registry.AUDITOR();
        vm.startPrank(publisher);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.MissingRole.selector, publisher, role));
        certificates.challenge(id, REASON);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.MissingRole.selector, publisher, role));
        certificates.voteRevocation(id, REASON, START + 1);
        vm.stopPrank();
        challengeBy(0, id);
        address[2] memory interested = [owner, operator];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory refused = abi.encodeWithSelector(
                ICertificates.ConflictOfInterest.selector, registry.organisationOf(interested[i]), HARBOUR
            );
            vm.startPrank(interested[i]);
            vm.expectRevert(refused);
            certificates.challenge(id, REASON);
            vm.expectRevert(refused);
            certificates.voteChallenge(id, false);
            vm.expectRevert(refused);
            certificates.voteRevocation(id, REASON, START + 1);
            vm.stopPrank();
        }
        vm.prank(administrator);
        registry.dismiss(auditors[1], role);
        vm.prank(auditors[1]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.MissingRole.selector, auditors[1], role));
        certificates.voteChallenge(id, true);
    }

    function test_an_organisation_challenges_and_votes_once_whatever_key_it_uses() public {
        uint256 id = requested();
        vm.prank(auditors[0]);
        vm.expectRevert(ICertificates.EmptyHash.selector);
        certificates.challenge(id, 0);
        challengeBy(0, id);
        bytes memory again = abi.encodeWithSelector(ICertificates.AlreadyChallenged.selector, id, bytes32("auditors-a"));
        vm.prank(auditors[0]);
        vm.expectRevert(again);
        certificates.challenge(id, REASON);
        vm.prank(secondKeyOfFirstAuditor);
        vm.expectRevert(again);
        certificates.challenge(id, REASON);
        voteBy(0, id, true);
        bytes memory voted = abi.encodeWithSelector(ICertificates.AlreadyVoted.selector, id, bytes32("auditors-a"));
        vm.startPrank(secondKeyOfFirstAuditor);
        vm.expectRevert(voted);
        certificates.voteChallenge(id, true);
        vm.expectRevert(voted);
        certificates.voteChallenge(id, false);
        vm.stopPrank();
        assertEq(certificates.proceeding(id, 0).upholdVotes, 1);
        _assertStatus(id, Status.Provisional);
        assertTrue(certificates.certificate(id).requestOpen);
    }

    function test_upheld_at_the_quorum_closes_the_request() public {
        uint256 id = requested();
        uint32 windowEnd = today() - 7;
        challengeBy(0, id);
        voteBy(1, id, true);
        voteBy(2, id, true);
        Proceeding memory proceeding = certificates.proceeding(id, 0);
        assertEq(uint256(proceeding.decision), uint256(Decision.Upheld));
        _assertStatus(id, Status.Provisional);
        vm.prank(auditors[3]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.voteChallenge(id, true);
        warpTo(time + CHALLENGE);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoOpenRequest.selector, id));
        certificates.confirm(id);
        vm.prank(auditors[3]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoOpenRequest.selector, id));
        certificates.challenge(id, REASON);
        // The same window cannot be asked for again; a later one can, with a challenge period of its own.
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WindowNotNew.selector, windowEnd, windowEnd));
        certificates.request(id, windowEnd);
        certificates.request(id, windowEnd + 1);
        challengeBy(0, id);
        assertEq(certificates.proceeding(id, 1).request, 2);
    }

    function test_dismissed_at_the_quorum_lets_the_request_go_on() public {
        uint256 id = requested();
        challengeBy(0, id);
        voteBy(0, id, true);
        voteBy(1, id, false);
        voteBy(2, id, false);
        assertEq(uint256(certificates.proceeding(id, 0).decision), uint256(Decision.Dismissed));
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.closeChallenge(id);
        // New evidence of another auditor gets fresh votes.
        challengeBy(1, id);
        voteBy(1, id, true);
        voteBy(2, id, true);
        assertEq(uint256(certificates.proceeding(id, 1).decision), uint256(Decision.Upheld));
        assertFalse(certificates.certificate(id).requestOpen);
    }

    function test_undecided_at_the_deadline_is_dismissed_and_recorded() public {
        uint256 id = requested();
        warpTo(time + CHALLENGE - 1);
        challengeBy(0, id);
        voteBy(0, id, true);
        uint256 decideBy = time + DECISION;
        warpTo(decideBy - 1);
        setVerdict(Finding.Positive);
        bytes memory pending = abi.encodeWithSelector(ICertificates.ChallengePending.selector, id, decideBy);
        vm.expectRevert(pending);
        certificates.confirm(id);
        vm.expectRevert(pending);
        certificates.closeChallenge(id);
        assertEq(uint256(certificates.proceeding(id, 0).decision), uint256(Decision.Pending));
        uint256 snapshot = vm.snapshotState();
        voteBy(1, id, true);
        assertEq(uint256(certificates.proceeding(id, 0).decision), uint256(Decision.Upheld), "the last second");
        vm.revertToState(snapshot);

        warpTo(decideBy);
        assertEq(uint256(certificates.proceeding(id, 0).decision), uint256(Decision.Dismissed), "without a call");
        vm.prank(auditors[1]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.voteChallenge(id, true);
        snapshot = vm.snapshotState();
        vm.expectEmit(address(certificates));
        emit ICertificates.ChallengeDecided(id, 0, Decision.Dismissed, true, 1, 0, Status.Provisional);
        certificates.closeChallenge(id);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.closeChallenge(id);
        certificates.confirm(id);
        _assertStatus(id, Status.Certified);
        vm.revertToState(snapshot);
        vm.expectEmit(address(certificates));
        emit ICertificates.ChallengeDecided(id, 0, Decision.Dismissed, true, 1, 0, Status.Provisional);
        certificates.confirm(id);
        _assertStatus(id, Status.Certified);
    }

    function test_a_sham_challenge_does_not_keep_others_out() public {
        uint256 id = requested();
        challengeBy(0, id);
        warpTo(time + CHALLENGE - 1);
        challengeBy(1, id);
        Proceeding memory proceeding = certificates.proceeding(id, 0);
        assertEq(proceeding.challenges, 2);
        assertEq(proceeding.decideBy, time + DECISION, "each challenge has the whole time");
        assertEq(certificates.certificate(id).proceedings, 1);
    }

    function test_nothing_to_vote_on_without_a_challenge() public {
        uint256 id = requested();
        vm.prank(auditors[0]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.voteChallenge(id, true);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.closeChallenge(id);
    }

    // --- revocation

    function test_revoked_at_the_quorum_of_organisations_with_one_reason_and_time() public {
        uint256 id = certified();
        uint64 until = uint64(time) + 100 days;
        revokeBy(0, id, until);
        vm.prank(secondKeyOfFirstAuditor);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.AlreadyVoted.selector, id, bytes32("auditors-a")));
        certificates.voteRevocation(id, REASON, until);
        revokeBy(1, id, until + 1);
        vm.prank(auditors[2]);
        certificates.voteRevocation(id, keccak256("another reason"), until);
        _assertStatus(id, Status.Certified);
        revokeBy(3, id, until);
        _assertStatus(id, Status.Revoked);
        Certificate memory certificate = certificates.certificate(id);
        assertEq(certificate.revokedUntil, until);
        assertEq(certificate.reasonHash, REASON);
        vm.prank(auditors[1]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Revoked));
        certificates.voteRevocation(id, REASON, until);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Revoked));
        certificates.request(id, today() - 7);
    }

    function test_a_revocation_is_limited_in_time() public {
        uint256 id = certified();
        bytes4 range = ICertificates.RevocationTimeOutOfRange.selector;
        uint64 now_ = uint64(time);
        vm.startPrank(auditors[0]);
        vm.expectRevert(abi.encodeWithSelector(range, now_, now_ + 1, now_ + 1825 days));
        certificates.voteRevocation(id, REASON, now_);
        vm.expectRevert(abi.encodeWithSelector(range, now_ + 1825 days + 1, now_ + 1, now_ + 1825 days));
        certificates.voteRevocation(id, REASON, now_ + 1825 days + 1);
        vm.expectRevert(ICertificates.EmptyHash.selector);
        certificates.voteRevocation(id, 0, now_ + 1 days);
        vm.stopPrank();
        revokeBy(0, id, now_ + 1825 days);
        revokeBy(1, id, now_ + 1825 days);
        _assertStatus(id, Status.Revoked);
    }

    function test_a_district_applies_again_after_the_time_of_its_revocation() public {
        uint256 id = certified();
        uint64 until = uint64(time) + 100 days;
        revokeBy(0, id, until);
        revokeBy(1, id, until);
        bytes memory barred = abi.encodeWithSelector(ICertificates.Barred.selector, HARBOUR, SCHEME, until);
        warpTo(until - 1);
        vm.startPrank(owner);
        vm.expectRevert(barred);
        certificates.applyFor(ASSESSMENT);
        vm.expectRevert(barred);
        certificates.applyFor(OTHER_VINTAGE);
        warpTo(until);
        assertEq(certificates.applyFor(ASSESSMENT), 2);
        vm.stopPrank();
        _assertStatus(id, Status.Revoked);
        _assertStatus(2, Status.Applied);
    }

    function test_a_second_application_in_reserve_is_no_way_around_a_revocation() public {
        uint256 id = certified();
        vm.startPrank(owner);
        uint256 reserve = certificates.applyFor(OTHER_VINTAGE);
        vm.stopPrank();
        uint64 until = uint64(time) + 100 days;
        uint256 snapshot = vm.snapshotState();
        revokeBy(0, id, until);
        revokeBy(1, id, until);
        bytes memory barred = abi.encodeWithSelector(ICertificates.Barred.selector, HARBOUR, SCHEME, until);
        vm.prank(administrator);
        vm.expectRevert(barred);
        certificates.grantProvisional(reserve);

        vm.revertToState(snapshot);
        vm.prank(administrator);
        certificates.grantProvisional(reserve);
        snapshot = vm.snapshotState();
        revokeBy(0, id, until);
        revokeBy(1, id, until);
        vm.expectRevert(barred);
        certificates.request(reserve, today() - 7);

        vm.revertToState(snapshot);
        assessments.setLatest(OTHER_VINTAGE, Finding.Positive, today() - 7);
        certificates.request(reserve, today() - 7);
        revokeBy(0, id, until);
        revokeBy(1, id, until);
        warpTo(time + CHALLENGE);
        assessments.setLatest(OTHER_VINTAGE, Finding.Positive, today() - 7);
        vm.expectRevert(barred);
        certificates.confirm(reserve);
    }

    function test_votes_to_revoke_are_void_after_the_decision_time() public {
        uint256 id = certified();
        uint64 until = uint64(time) + 300 days;
        revokeBy(0, id, until);
        uint256 voteUntil = time + DECISION;
        warpTo(voteUntil - 1);
        setVerdict(Finding.Positive);
        uint256 snapshot = vm.snapshotState();
        revokeBy(1, id, until);
        _assertStatus(id, Status.Revoked);
        vm.revertToState(snapshot);
        warpTo(voteUntil);
        setVerdict(Finding.Positive);
        revokeBy(1, id, until);
        _assertStatus(id, Status.Certified);
        revokeBy(0, id, until);
        _assertStatus(id, Status.Revoked);
    }

    function test_a_revocation_ends_an_open_request() public {
        uint256 id = requested();
        challengeBy(0, id);
        revokeBy(0, id, uint64(time) + 1 days);
        revokeBy(1, id, uint64(time) + 1 days);
        vm.prank(auditors[2]);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoPendingChallenge.selector, id));
        certificates.voteChallenge(id, true);
        warpTo(time + CHALLENGE + DECISION);
        setVerdict(Finding.Positive);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.NoOpenRequest.selector, id));
        certificates.confirm(id);
        _assertStatus(id, Status.Revoked);
    }

    function test_an_applied_certificate_can_be_revoked() public {
        uint256 id = applied();
        revokeBy(0, id, START + 10 days);
        revokeBy(1, id, START + 10 days);
        _assertStatus(id, Status.Revoked);
        vm.prank(administrator);
        vm.expectRevert(abi.encodeWithSelector(ICertificates.WrongStatus.selector, id, Status.Revoked));
        certificates.grantProvisional(id);
    }
}
