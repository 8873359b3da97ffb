// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Gregorian calendar on day numbers (unix time / 86400)
library Calendar {
    /// @notice First day of the rolling year that ends before `windowEnd`: the same calendar date a year earlier, of 29 February
    /// 1 March (domain.md §4). Day 0 when that date lies before it.
    /// @dev In years that begin on 1 March the leap day is the last one. So a date and the same date a year before are 366 days
    /// apart exactly if the March year of the later one bears the number of a leap year: the leap day then ended the year before.
    function windowStart(uint256 windowEnd) internal pure returns (uint256) {
        uint256 yearDays = isLeap(marchYear(windowEnd)) ? 366 : 365;
        return windowEnd > yearDays ? windowEnd - yearDays : 0;
    }

    /// @notice The year whose 1 March is the last one not after the day.
    /// @dev H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days. Day 0 is 719,468 days after 0000-03-01.
    function marchYear(uint256 day) internal pure returns (uint256) {
        uint256 sinceEpoch = day + 719_468;
        uint256 era = sinceEpoch / 146_097;
        uint256 dayOfEra = sinceEpoch % 146_097;
        uint256 yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        return era * 400 + yearOfEra;
    }

    /// @notice 1 January of a year from 1970 on. Day 0 is 719,162 days after 0001-01-01.
    function firstDay(uint256 year) internal pure returns (uint256) {
        uint256 before = year - 1;
        return before * 365 + before / 4 - before / 100 + before / 400 - 719_162;
    }

    function isLeap(uint256 year) internal pure returns (bool) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    }
}
