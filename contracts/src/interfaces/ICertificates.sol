// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Certificate, Decision, Proceeding, Status } from "../types/Certificate.sol";
import { Verdict } from "../types/Verdict.sol";

/// @title Certificates of Positive Energy Districts (domain.md §4)
/// @notice Applied -> Provisional -> Certified -> Suspended (and back) -> Revoked or Lapsed. A certificate is a record about
/// an assessment, not a token: there is nothing to transfer.
///
/// A certificate is valid only while everything holds at once: certified and not expired, no gateway of the district
/// without a key, and a positive latest verdict whose window ended at most 21 days ago. All of it is looked at when
/// `isValid` is asked, so no call can be withheld to keep a certificate alive.
///
/// Times: an action that is possible "until t" is possible strictly before t, and what follows it from t on, so that at
/// every second exactly one of them is.
///
/// Assumptions. Auditors count by organisation (see IRegistry), never by account; the scheme administrators accredit
/// organisations that are independent of each other. An organisation that owns or operates the district has no say.
interface ICertificates {
    event Applied(
        uint256 indexed id,
        bytes32 indexed districtId,
        bytes32 indexed assessmentId,
        bytes32 schemeId,
        bytes32 vintageId,
        bytes32 ownerOrg,
        address account
    );
    event ProvisionalGranted(uint256 indexed id, bytes32 organisationId, address account);
    /// @param request 1, 2, ... for each certificate
    /// @param renewal a certified district asks for another term
    event CertificationRequested(
        uint256 indexed id,
        uint32 indexed request,
        bool renewal,
        uint64 challengeUntil,
        uint64 requestUntil,
        Verdict verdict
    );
    /// @param verdict the latest one at the confirmation
    event Certified(uint256 indexed id, uint32 indexed request, bool renewal, uint64 expiry, Verdict verdict);
    /// @param proceeding 0, 1, ... for each certificate
    event Challenged(
        uint256 indexed id,
        uint32 indexed request,
        uint32 indexed proceeding,
        bytes32 organisationId,
        address account,
        bytes32 evidenceHash,
        uint64 decideBy
    );
    event ChallengeVoted(
        uint256 indexed id, uint32 indexed proceeding, bytes32 organisationId, address account, bool uphold
    );
    /// @param undecided dismissed because the time was over
    /// @param status the certificate's stored status after it: Provisional after an upheld challenge
    event ChallengeDecided(
        uint256 indexed id,
        uint32 indexed proceeding,
        Decision decision,
        bool undecided,
        uint8 upholdVotes,
        uint8 dismissVotes,
        Status status
    );
    /// @param votes organisations for this reason and time so far
    /// @param voteUntil unix seconds at which these votes are void if the quorum is not reached
    event RevocationVoted(
        uint256 indexed id,
        bytes32 indexed reasonHash,
        uint64 until,
        bytes32 organisationId,
        address account,
        uint8 votes,
        uint64 voteUntil
    );
    event Revoked(uint256 indexed id, bytes32 indexed reasonHash, uint64 until);

    error UnknownCertificate(uint256 id);
    error UnknownAssessment(bytes32 assessmentId);
    error MissingRole(address account, bytes32 role);
    error OtherOrganisation(address account, bytes32 organisationId, bytes32 expected);
    /// @notice The organisation owns or operates the district.
    error ConflictOfInterest(bytes32 organisationId, bytes32 districtId);
    error WrongStatus(uint256 id, Status status);
    /// @notice The assessment has this certificate already, and it is neither lapsed nor revoked.
    error AlreadyCertificate(bytes32 assessmentId, uint256 id, Status status);
    /// @notice A certificate of the district in this scheme was revoked until then.
    error Barred(bytes32 districtId, bytes32 schemeId, uint64 until);
    error NoFinalisedDay(bytes32 assessmentId, uint32 startDay);
    /// @param finding index in enum Finding of the reason
    error NotPositive(uint32 windowEnd, uint8 finding);
    error WindowTooOld(uint32 windowEnd, uint32 earliest);
    /// @notice A new request must be about a later window than the former one.
    error WindowNotNew(uint32 windowEnd, uint32 former);
    error RenewalTooEarly(uint256 id, uint64 from);
    error RequestOpen(uint256 id, uint64 until);
    error NoOpenRequest(uint256 id);
    error ChallengePeriodOpen(uint256 id, uint64 until);
    error ChallengePeriodOver(uint256 id, uint64 until);
    error ChallengePending(uint256 id, uint64 decideBy);
    error NoPendingChallenge(uint256 id);
    error AlreadyChallenged(uint256 id, bytes32 organisationId);
    error AlreadyVoted(uint256 id, bytes32 organisationId);
    error EmptyHash();
    error RevocationTimeOutOfRange(uint64 until, uint64 earliest, uint64 latest);

    /// @notice Applies for a certificate of an open assessment. Only DISTRICT_OWNER accounts of the district's owner. Again
    /// only after the former certificate lapsed, or after the time of a revocation (in this scheme, whatever the vintage).
    /// @dev `apply` is a reserved word of Solidity.
    /// @return id 1, 2, ...
    function applyFor(bytes32 assessmentId) external returns (uint256 id);

    /// @notice Applied -> Provisional. Only SCHEME_ADMIN or AUDITOR accounts of an organisation without an interest. The
    /// assessment has at least one finalised day; the balance need not be positive.
    function grantProvisional(uint256 id) external;

    /// @notice Opens the challenge period of the certification, or from 60 days before the expiry of the renewal. Anyone.
    /// The verdict at `windowEnd` is positive, and the window ended at most 21 days ago.
    function request(uint256 id, uint32 windowEnd) external;

    /// @notice Provisional -> Certified, or another term. Anyone, from the end of the challenge period until 21 days after
    /// the last moment at which a challenge can be decided. No challenge is pending, and the latest verdict is positive and
    /// recent. A certificate that lapsed meanwhile is not renewed: the owner applies again.
    function confirm(uint256 id) external;

    /// @notice Challenges the open request. AUDITOR accounts; one challenge per organisation and request. Challenges that
    /// meet an undecided one join its proceeding, which is then decided within the scheme's days from the latest; others
    /// open a proceeding of their own with fresh votes.
    function challenge(uint256 id, bytes32 evidenceHash) external;

    /// @notice Votes in the pending proceeding; one vote per organisation. At the scheme's quorum it is decided: upheld, the
    /// certificate is Provisional again and the request is closed; dismissed, the request goes on.
    function voteChallenge(uint256 id, bool uphold) external;

    /// @notice Records that the pending proceeding is dismissed because its time is over. Anyone; confirm does it too.
    function closeChallenge(uint256 id) external;

    /// @notice Votes to revoke. AUDITOR accounts; organisations count together when they name the same reason and time,
    /// within the scheme's decision days of the first of them. At the quorum the certificate is revoked for good, and the
    /// district cannot apply in this scheme until then.
    /// @param until unix seconds: in the future and at most 5 years ahead
    function voteRevocation(uint256 id, bytes32 reasonHash, uint64 until) external;

    /// @notice Whether the certificate exists and all that makes it valid holds now. Never reverts for an unknown one.
    function isValid(uint256 id) external view returns (bool);

    /// @notice None for an unknown certificate.
    function statusOf(uint256 id) external view returns (Status);

    /// @dev Reverts with UnknownCertificate.
    function certificate(uint256 id) external view returns (Certificate memory);

    /// @dev Reverts with UnknownCertificate, and with a panic when there is no proceeding of that index.
    function proceeding(uint256 id, uint256 index) external view returns (Proceeding memory);

    /// @notice The latest certificate applied for with the assessment; 0 for none.
    function certificateOf(bytes32 assessmentId) external view returns (uint256 id);

    /// @notice Certificates have the numbers 1 to this.
    function certificateCount() external view returns (uint256);

    /// @notice Unix seconds until which the district cannot apply in the scheme; 0 when never revoked.
    function barredUntil(bytes32 districtId, bytes32 schemeId) external view returns (uint64);
}
