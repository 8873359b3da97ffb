// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What a certification scheme fixes for ever (domain.md §§3, 4).
/// @param nonRenewable the balance uses non-renewable primary energy instead of total
/// @param isStatic electricity is weighted with the vintage's static factors instead of the hourly ones
/// @param fMin least PEF that can occur, kWh_PE per kWh in 1/1000
/// @param fMax greatest PEF that can occur, kWh_PE per kWh in 1/1000
/// @param gMin least GHG factor that can occur, g CO2e per kWh
/// @param gMax greatest GHG factor that can occur, g CO2e per kWh
/// @param toleranceBp conservation tolerance, 1/10,000 of the larger side
/// @param toleranceWh conservation tolerance that always applies, Wh
/// @param minimumMembers fewest members behind a private sum that is not zero
/// @param quorum number of auditor organisations that decide a challenge or a revocation
/// @param challengeDays days in which an auditor can challenge a requested certification
/// @param decisionDays days after the last challenge in which the auditors can decide it
/// @param validityDays days for which a confirmed certificate is valid
struct Scheme {
    bool nonRenewable;
    bool isStatic;
    uint16 fMin;
    uint16 fMax;
    uint16 gMin;
    uint16 gMax;
    uint16 toleranceBp;
    uint32 toleranceWh;
    uint8 minimumMembers;
    uint8 quorum;
    uint16 challengeDays;
    uint16 decisionDays;
    uint16 validityDays;
}
