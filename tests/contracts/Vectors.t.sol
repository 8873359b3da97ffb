// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Totals } from "contracts/interfaces/IAssessments.sol";
import { Calendar } from "contracts/libraries/Calendar.sol";
import { DayBalance } from "contracts/libraries/DayBalance.sol";
import { HourBalance } from "contracts/libraries/HourBalance.sol";
import { SaltedMerkle } from "contracts/libraries/SaltedMerkle.sol";
import { ForgeTest } from "testing/ForgeTest.sol";

/// @notice The shared vectors (tests/vectors, made by the Python statement of the rule): the libraries must repeat every number.
contract VectorsTest is ForgeTest {
    string private json;

    function _read(string memory name) private {
        json = vm.readFile(string.concat(vm.projectRoot(), "/../tests/vectors/", name, ".json"));
    }

    function _uints(string memory name) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, string.concat(".", name));
    }

    function _ints(string memory name) private view returns (int256[] memory) {
        return vm.parseJsonIntArray(json, string.concat(".", name));
    }

    function _words(string memory name) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, string.concat(".", name));
    }

    // --- hours and days ----------------------------------------------------------------------------------------------

    function _rules(uint256 count) private view returns (HourBalance.Day[] memory rules) {
        rules = new HourBalance.Day[](count);
        uint256[] memory points = _uints("openPoints");
        uint256[] memory members = _uints("members");
        uint256[] memory metered = _uints("loadMetered");
        int256[] memory grid = _ints("gridCapWh");
        int256[] memory carrier = _ints("carrierCapWh");
        int256[] memory foreign = _ints("foreignCapWh");
        int256[] memory toleranceWh = _ints("toleranceWh");
        int256[] memory toleranceBp = _ints("toleranceBp");
        for (uint256 i = 0; i < count; ++i) {
            rules[i] = HourBalance.Day({
                coverage: points[i] | (members[i] << 16),
                gridCapWh: grid[i],
                carrierCapWh: carrier[i],
                foreignCapWh: foreign[i],
                loadMetered: metered[i] == 1,
                toleranceWh: toleranceWh[i],
                toleranceBp: toleranceBp[i]
            });
        }
    }

    function _factors(string memory name, uint256 count) private view returns (HourBalance.Factors[] memory factors) {
        factors = new HourBalance.Factors[](count);
        int256[] memory average = _ints(string.concat(name, "Average"));
        int256[] memory imported = _ints(string.concat(name, "Import"));
        int256[] memory exported = _ints(string.concat(name, "Export"));
        int256[] memory least = _ints(string.concat(name, "Min"));
        int256[] memory most = _ints(string.concat(name, "Max"));
        uint256[] memory lacking = _uints(string.concat(name, "Lacking"));
        uint256[] memory carriers = _uints(string.concat(name, "Carriers"));
        for (uint256 i = 0; i < count; ++i) {
            factors[i] = HourBalance.Factors({
                average: average[i],
                marginalImport: imported[i],
                marginalExport: exported[i],
                min: least[i],
                max: most[i],
                lacking: lacking[i] == 1,
                carriers: carriers[i]
            });
        }
    }

    /// @dev Each hour as the first of a day whose other hours are empty: these add nothing to any sum.
    function testHoursAreJudgedAsInPython() public {
        _read("hours");
        uint256[] memory words = _uints("hourWord");
        HourBalance.Day[] memory rules = _rules(words.length);
        HourBalance.Factors[] memory primary = _factors("primary", words.length);
        HourBalance.Factors[] memory ghg = _factors("ghg", words.length);
        uint256[] memory extras = _uints("extraWord");
        uint256[] memory carriers = _uints("carrierWords");
        uint256[] memory claims = _uints("claimsWord");
        uint256[] memory rows = _uints("row");
        int256[][5] memory expected =
            [_ints("balance"), _ints("lower"), _ints("upper"), _ints("ghg"), _ints("ghgUpper")];

        for (uint256 i = 0; i < words.length; ++i) {
            string memory place = vm.toString(i);
            DayBalance.Day memory day = _day(rules[i], primary[i], ghg[i]);
            day.hourWords[0] = words[i];
            day.extras[0] = extras[i];
            day.claims[0] = claims[i];
            (day.carriers[0], day.carriers[1]) = (carriers[2 * i], carriers[2 * i + 1]);
            (Totals memory t,) = DayBalance.assess(day);
            assertEq(t.balance, expected[0][i], place);
            assertEq(t.lower, expected[1][i], place);
            assertEq(t.upper, expected[2][i], place);
            assertEq(t.ghg, expected[3][i], place);
            assertEq(t.ghgUpper, expected[4][i], place);
            day.hourWords[0] = 0;
            (day.extras[0], day.claims[0], day.carriers[0], day.carriers[1]) = (0, 0, 0, 0);
            (Totals memory empty,) = DayBalance.assess(day);
            int256 emptyHours = empty.completeHours * 23 / 24;
            assertEq(t.completeHours - emptyHours, rows[i] == 1 ? int256(1) : int256(0), place);
        }
    }

    function _day(HourBalance.Day memory rule, HourBalance.Factors memory primary, HourBalance.Factors memory ghg)
        private
        pure
        returns (DayBalance.Day memory day)
    {
        day.rule = rule;
        day.primary = DayBalance.Range(primary.min, primary.max);
        day.ghg = DayBalance.Range(ghg.min, ghg.max);
        (day.primaryCarriers, day.ghgCarriers) = (primary.carriers, ghg.carriers);
        (day.samePrimary, day.sameGhg) = (primary, ghg);
    }

    function testDaysAreJudgedAsInPython() public {
        _read("days");
        uint256[] memory vehicles = _uints("vehicleWord");
        HourBalance.Day[] memory rules = _rules(vehicles.length);
        HourBalance.Factors[] memory primary = _factors("primary", vehicles.length);
        HourBalance.Factors[] memory ghg = _factors("ghg", vehicles.length);
        uint256[] memory hourWords = _uints("hourWords");
        uint256[] memory extraWords = _uints("extraWords");
        uint256[] memory carrierWords = _uints("carrierWords");
        uint256[] memory claimsWords = _uints("claimsWords");
        uint256[] memory nonRenewable = _uints("nonRenewable");
        bytes[] memory published = vm.parseJsonBytesArray(json, ".published");
        for (uint256 i = 0; i < vehicles.length; ++i) {
            DayBalance.Day memory day = _day(rules[i], primary[i], ghg[i]);
            for (uint256 h = 0; h < 24; ++h) {
                day.hourWords[h] = hourWords[24 * i + h];
                day.extras[h] = extraWords[24 * i + h];
                day.claims[h] = claimsWords[24 * i + h];
                day.carriers[2 * h] = carrierWords[48 * i + 2 * h];
                day.carriers[2 * h + 1] = carrierWords[48 * i + 2 * h + 1];
            }
            day.vehicles = vehicles[i];
            day.nonRenewable = nonRenewable[i] == 1;
            day.published = published[i];
            if (published[i].length != 0) delete day.samePrimary;
            if (published[i].length != 0) delete day.sameGhg;
            (Totals memory t, bool edgeEstimated) = DayBalance.assess(day);
            _compareDay(i, t, edgeEstimated);
        }
    }

    function _compareDay(uint256 i, Totals memory t, bool edgeEstimated) private view {
        string memory place = vm.toString(i);
        assertEq(t.balance, _ints("balance")[i], place);
        assertEq(t.lower, _ints("lower")[i], place);
        assertEq(t.upper, _ints("upper")[i], place);
        assertEq(t.ghg, _ints("ghg")[i], place);
        assertEq(t.ghgUpper, _ints("ghgUpper")[i], place);
        assertEq(t.completeHours, _ints("completeHours")[i], place);
        assertTrue(edgeEstimated == (_uints("edgeEstimated")[i] == 1), place);
    }

    // --- windows, signatures, trees ----------------------------------------------------------------------------------

    function testWindowsBeginAsInPython() public {
        _read("windows");
        uint256[] memory ends = _uints("windowEnd");
        uint256[] memory starts = _uints("windowStart");
        assertTrue(ends.length > 1_000);
        for (uint256 i = 0; i < ends.length; ++i) {
            assertEq(Calendar.windowStart(ends[i]), starts[i], vm.toString(ends[i]));
        }
    }

    /// @dev EIP-712 from its text, as a second implementation beside Python's and OpenZeppelin's; ecrecover by the machine.
    function testDigestsAndSignaturesAreThoseOfEip712() public {
        _read("batches");
        bytes32[] memory digests = _words("digest");
        bytes[] memory signatures = vm.parseJsonBytesArray(json, ".signature");
        string[] memory signers = vm.parseJsonStringArray(json, ".signer");
        for (uint256 i = 0; i < digests.length; ++i) {
            string memory place = vm.toString(i);
            bytes32 domain = keccak256(
                abi.encode(
                    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                    keccak256("PED Ledger"),
                    keccak256("1"),
                    _uints("chainId")[i],
                    vm.parseJsonAddress(json, string.concat(".ledger[", place, "]"))
                )
            );
            assertEq(keccak256(bytes.concat(hex"1901", domain, _struct(i))), digests[i]);
            bytes memory s = signatures[i];
            (bytes32 r, bytes32 half) = abi.decode(s, (bytes32, bytes32));
            address signer = ecrecover(digests[i], uint8(s[64]), r, half);
            assertEq(signer, vm.parseJsonAddress(json, string.concat(".signer[", place, "]")));
            assertTrue(bytes(signers[i]).length == 42, place);
        }
    }

    function _struct(uint256 i) private view returns (bytes32) {
        uint256 kind = _uints("kind")[i];
        bytes32 payloadHash = keccak256(vm.parseJsonBytesArray(json, ".payload")[i]);
        bytes memory head =
            abi.encode(_words("gatewayId")[i], _uints("day")[i], _uints("sequence")[i], _uints("replaces")[i]);
        string memory common = "(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,";
        if (kind == 0) {
            bytes32 open = keccak256(bytes(string.concat("OpenBatch", common, "bytes payload)")));
            return keccak256(bytes.concat(open, head, payloadHash));
        }
        if (kind == 1) {
            bytes32 closed =
                keccak256(bytes(string.concat("PrivateBatch", common, "uint16 changedMembers,bytes payload)")));
            return keccak256(bytes.concat(closed, head, bytes32(_uints("changedMembers")[i]), payloadHash));
        }
        bytes32 adjustment = keccak256(
            bytes(
                string.concat(
                    "Adjustment", common, "bool isPrivate,bytes32 reasonHash,uint16 changedMembers,bytes payload)"
                )
            )
        );
        bytes32 isPrivate = bytes32(_uints("isPrivate")[i]);
        bytes32 changed = bytes32(_uints("changedMembers")[i]);
        return keccak256(bytes.concat(adjustment, head, isPrivate, _words("reasonHash")[i], changed, payloadHash));
    }

    function testTreesAreThoseOfPython() public {
        _read("merkle");
        uint256[] memory counts = _uints("count");
        uint256[] memory siblingCounts = _uints("siblingCount");
        uint256[] memory indexes = _uints("index");
        bytes32[] memory leaves = _words("leaf");
        bytes32[] memory roots = _words("root");
        bytes32[] memory siblings = _words("siblings");
        _compareLeaves(leaves);
        (uint256 first, uint256 used) = (0, 0);
        for (uint256 i = 0; i < counts.length; ++i) {
            string memory place = vm.toString(i);
            bytes32[] memory own = new bytes32[](counts[i]);
            for (uint256 k = 0; k < counts[i]; ++k) {
                own[k] = leaves[first + k];
            }
            bytes32[] memory path = new bytes32[](siblingCounts[i]);
            for (uint256 k = 0; k < path.length; ++k) {
                path[k] = siblings[used + k];
            }
            bytes32 proven = own[indexes[i]];
            assertTrue(SaltedMerkle.verify(proven, indexes[i], counts[i], path, roots[i]), place);
            assertFalse(SaltedMerkle.verify(bytes32(uint256(proven) ^ 1), indexes[i], counts[i], path, roots[i]));
            assertEq(SaltedMerkle.root(own), roots[i]);
            (first, used) = (first + counts[i], used + siblingCounts[i]);
        }
    }

    function _compareLeaves(bytes32[] memory leaves) private view {
        bytes32[] memory serials = _words("serial");
        bytes32[] memory memberSalts = _words("memberSalt");
        bytes32[] memory members = _words("commitment");
        bytes32[] memory salts = _words("salt");
        uint256[] memory hour = _uints("hour");
        uint256[] memory supply = _uints("supplyWh");
        uint256[] memory draw = _uints("drawWh");
        for (uint256 i = 0; i < leaves.length; ++i) {
            assertEq(SaltedMerkle.commitment(serials[i], memberSalts[i]), members[i]);
            assertEq(
                SaltedMerkle.leaf(members[i], uint32(hour[i]), uint32(supply[i]), uint32(draw[i]), salts[i]), leaves[i]
            );
        }
    }
}
