// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Where a certificate stands (domain.md §4 "Lifecycle"). Suspended and Lapsed follow from the time and the verdict
/// and are never stored: nobody has to call anything for them to come, or for Suspended to go.
enum Status {
    None,
    Applied,
    Provisional,
    Certified,
    Suspended,
    Revoked,
    Lapsed
}

enum Decision {
    None,
    Pending,
    Upheld,
    Dismissed
}

/// @param status as of now, Suspended and Lapsed included
/// @param expiry unix seconds from which it is lapsed; 0 before it is certified
/// @param revokedUntil unix seconds until which the district cannot apply in this scheme again; 0 when not revoked
/// @param reasonHash evidence of the revocation; 0 when not revoked
/// @param requests number of certifications and renewals requested
/// @param requestOpen the latest request can still be challenged, decided or confirmed
/// @param requestedWindowEnd end of the window that the latest request names (a day)
/// @param challengeUntil unix seconds until which the latest request can be challenged, from which it can be confirmed
/// @param requestUntil unix seconds until which the latest request can be confirmed
/// @param proceedings number of challenge proceedings, of all requests
struct Certificate {
    bytes32 assessmentId;
    bytes32 districtId;
    bytes32 schemeId;
    bytes32 vintageId;
    Status status;
    uint64 expiry;
    uint64 revokedUntil;
    bytes32 reasonHash;
    uint32 requests;
    bool requestOpen;
    uint32 requestedWindowEnd;
    uint64 challengeUntil;
    uint64 requestUntil;
    uint32 proceedings;
}

/// @notice What the auditors decide together: all challenges that came before the former ones were decided.
/// @param request number of the request that is challenged
/// @param decideBy unix seconds from which it is dismissed if undecided
/// @param challenges number of challenges in it
/// @param upholdVotes organisations for the challenge
/// @param dismissVotes organisations against it
/// @param decision as of now; Dismissed also when the time is over
struct Proceeding {
    uint32 request;
    uint64 decideBy;
    uint32 challenges;
    uint8 upholdVotes;
    uint8 dismissVotes;
    Decision decision;
}
