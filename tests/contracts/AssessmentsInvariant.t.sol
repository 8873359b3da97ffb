// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Adjustment, PrivateBatch } from "contracts/interfaces/ILedger.sol";
import { Totals } from "contracts/interfaces/IAssessments.sol";
import { GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { Scheme } from "contracts/types/Scheme.sol";
import { ForgeTest } from "testing/ForgeTest.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";
import { PlainRule } from "testing/PlainRule.sol";

/// @notice Three days of a district with every kind of point, two gateways and a group of households, and two assessments of
/// them: hourly factors and total energy, and static factors and non-renewable energy. Batches, corrections, adjustments,
/// factors, finalisation and booking come at random; the sections that hold the hours are remembered as they were signed.
contract AssessmentsHandler is LedgerFixture {
    uint256 public constant DAYS = 3;
    uint256 public constant POINTS = 9;
    uint256 public constant MEMBERS = 18;
    bytes32 private constant STATIC_SCHEME = "ped-static";
    uint256 private constant CAP = 1_100;
    uint8 private constant GAS = 17;
    uint8 private constant HEAT = 18;
    uint8 private constant OIL = 21;
    /// @dev Streams: the plant's open points, the pool's open points, the pool's members.
    uint256 private constant STREAMS = 3;

    uint8[7] private plantKinds =
        [Kind.GRID, Kind.GENERATION, Kind.LOAD, Kind.STORAGE, Kind.VEHICLE, Kind.FUEL_GENERATION, GAS];
    uint8[2] private poolKinds = [Kind.GRID, OIL];
    uint8[3] private memberKinds = [Kind.GENERATION, Kind.LOAD, HEAT];

    bytes32[2] public ids;
    uint8[DAYS][STREAMS] private lastSequence;
    bytes[256][DAYS][STREAMS] private payloads;
    uint8[24][DAYS][STREAMS] private holder;
    /// What holds the hour, without the hour itself; empty when nothing does.
    bytes[24][DAYS][STREAMS] private sections;
    uint256[] private adjustedDays;
    /// What moved out of HARBOUR and into it with trades, and what still may.
    uint256[24][DAYS][2] private moved;
    uint256[DAYS] private openWh;
    uint256[] private changedDays;
    bytes[DAYS] private published;
    uint256 private factorFrontier;
    uint256[2] public frontier;
    uint256[2] private booked;
    uint256[2] private bookedChanges;
    /// What a day must count with: as the records stood when it was finalised, or when it was last booked.
    Totals[DAYS][2] private counted;

    uint256 public surprises;
    uint256 public corrections;
    uint256 public lateRecords;
    uint256 public lacking;
    uint256 public changedByBooking;
    uint256 public waited;
    uint256 public moves;

    function start() external {
        setUp();
        PointDeclaration[] memory plant = new PointDeclaration[](7);
        for (uint256 i = 0; i < 7; ++i) {
            plant[i] = point(bytes32(abi.encodePacked("PLANT-", vm.toString(i))), plantKinds[i], 1_000);
        }
        plant[4].efficiencyPermille = 900;
        PointDeclaration[] memory households = new PointDeclaration[](MEMBERS);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            households[i] = point(keccak256(abi.encode("household", i)), memberKinds[i / 6], 1_000);
        }
        PointDeclaration[] memory pool = points(point("POOL-0", Kind.GRID, 1_000), point("POOL-1", OIL, 1_000));
        publish(DAY, changes(change(PLANT, plant), GatewayBoundary(POOL, pool, households)));

        vm.startPrank(administrator);
        Scheme memory static_ = scheme();
        (static_.isStatic, static_.nonRenewable) = (true, true);
        registry.registerScheme(STATIC_SCHEME, static_);
        ids[0] = assessments.openAssessment(HARBOUR, SCHEME, VINTAGE, DAY);
        ids[1] = assessments.openAssessment(HARBOUR, STATIC_SCHEME, VINTAGE, DAY);
        vm.stopPrank();
        warpTo(_closeOf(DAY, 11));
    }

    // --- what may happen ---------------------------------------------------------------------------------------------

    /// A batch, a correction of an earlier one, or, when the day is final, either as an adjustment.
    function write(uint256 seed) external {
        uint256 s = seed % STREAMS;
        uint256 d = _random(seed, "day") % DAYS;
        if (lastSequence[s][d] == 200) return;
        uint8 sequence = lastSequence[s][d] + 1;
        uint8 replaces = 0;
        if (sequence > 1 && _random(seed, "correct") % 2 == 0) {
            replaces = uint8(1 + _random(seed, "replaces") % (sequence - 1));
        }
        bytes memory payload = _fill(seed, s, d, sequence, replaces);
        if (payload.length == 0) return;
        bytes memory old = replaces == 0 ? bytes("") : payloads[s][d][replaces];
        _send(s, uint32(DAY + d), sequence, replaces, payload, old);
        lastSequence[s][d] = sequence;
        payloads[s][d][sequence] = payload;
        if (replaces != 0) ++corrections;
        if (time >= _finalityOf(uint32(DAY + d))) {
            adjustedDays.push(d);
            ++lateRecords;
        }
    }

    /// Factors of a day, or none for the days before it.
    function publishDay(uint256 seed, bool skip) external {
        uint256 d = factorFrontier + (skip ? 1 : 0);
        uint256 end = (DAY + d + 1) * 1 days;
        if (d >= DAYS || time < end || time > end + 30 days) return;
        bytes memory content;
        for (uint256 h = 0; h < 24; ++h) {
            uint256 r = _random(seed, h);
            content = abi.encodePacked(
                content,
                uint16(r % 3_001),
                uint16((r >> 32) % 3_001),
                uint32(0),
                uint16((r >> 64) % 1_001),
                uint16((r >> 96) % 1_001)
            );
        }
        publishFactors(uint32(DAY + d), content);
        published[d] = content;
        factorFrontier = d + 1;
    }

    /// Until a day is final more may move with trades; settled trades move some, and follow-ups some back.
    function trade(uint256 seed) external {
        uint256 d = _random(seed, "day") % DAYS;
        uint32 day = uint32(DAY + d);
        uint32 firstHour = day * 24;
        if (openWh[d] == 0 && seed % 4 == 1 && time < _finalityOf(day)) {
            vm.prank(_account("market"));
            claims.openAttributes(HARBOUR, firstHour, 10);
            openWh[d] += 10;
            return;
        }
        if (openWh[d] != 0 && seed % 2 == 0) {
            vm.prank(_account("settlement"));
            claims.closeAttributes(HARBOUR, firstHour, 10);
            openWh[d] -= 10;
            return;
        }
        uint256 way = _random(seed, "way") % 2;
        uint256 h = _random(seed, "hour") % 24;
        int256 energyWh = int256(_random(seed, "energy") % 900);
        if (seed % 2 == 0) energyWh = -int256(moved[way][d][h] / 2);
        moved[way][d][h] = uint256(int256(moved[way][d][h]) + energyWh);
        if (openWh[d] == 0) changedDays.push(d);
        (bytes32 seller, bytes32 buyer) = way == 0 ? (HARBOUR, HILL) : (HILL, HARBOUR);
        vm.prank(_account("settlement"));
        claims.moveAttributes(seller, buyer, firstHour + uint32(h), int64(energyWh));
        ++moves;
    }

    function finalise(uint256 seed) external {
        uint256 a = seed % 2;
        uint256 most = _random(seed, "most") % 4;
        uint256 expected = 0;
        for (uint256 d = frontier[a]; expected < most && d < DAYS; ++d) {
            if (time < _finalityOf(uint32(DAY + d)) || (a == 0 && _isPending(d))) break;
            if (openWh[d] != 0) {
                ++waited;
                break;
            }
            counted[a][d] = recomputed(a, d);
            if (a == 0 && published[d].length == 0) ++lacking;
            ++expected;
        }
        // Only the three days are ever looked at: further ones have no records, and would be final one day too.
        if (frontier[a] + expected == DAYS) most = expected;
        if (assessments.finalise(ids[a], most) != expected) ++surprises;
        frontier[a] += expected;
    }

    function book(uint256 seed) external {
        _book(seed % 2, _random(seed, "most") % 4);
    }

    function bookAll() external {
        for (uint256 a = 0; a < 2; ++a) {
            _book(a, adjustedDays.length + changedDays.length);
        }
    }

    function pass(uint256 seed) external {
        uint256[4] memory steps = [uint256(3 hours), 12 hours, 2 days, 6 days];
        warpTo(time + steps[seed % 4]);
    }

    function _book(uint256 a, uint256 most) private {
        uint256 expected = 0;
        while (expected < most && booked[a] + bookedChanges[a] < adjustedDays.length + changedDays.length) {
            bool adjusted = booked[a] < adjustedDays.length;
            uint256 d = adjusted ? adjustedDays[booked[a]++] : changedDays[bookedChanges[a]++];
            if (d < frontier[a]) {
                Totals memory now_ = recomputed(a, d);
                if (keccak256(abi.encode(now_)) != keccak256(abi.encode(counted[a][d]))) ++changedByBooking;
                counted[a][d] = now_;
            }
            ++expected;
        }
        if (assessments.bookAdjustments(ids[a], most) != expected) ++surprises;
    }

    // --- what must be there ------------------------------------------------------------------------------------------

    function countedOf(uint256 a, uint256 d) external view returns (Totals memory) {
        return counted[a][d];
    }

    function stored(uint256 a, uint256 d) external view returns (Totals memory finalised, Totals memory adjusted) {
        return assessments.cumulative(ids[a], uint32(DAY + d));
    }

    function ledgerDay(uint256 d)
        external
        view
        returns (uint256[24] memory hourWords, uint256[24] memory extras, uint256[48] memory carriers, uint256 vehicles)
    {
        hourWords = ledger.hourWords(HARBOUR, uint32(DAY + d));
        (extras, carriers, vehicles) = ledger.detailWords(HARBOUR, uint32(DAY + d));
    }

    /// @notice What the day comes to by the records that hold its hours now.
    function recomputed(uint256 a, uint256 d) public view returns (Totals memory t) {
        (PlainRule.Weights memory primary, PlainRule.Weights memory ghg) = _sameWeights(a, d);
        int256 discharged = 0;
        int256 charged = 0;
        bool vehiclesKnown = true;
        (int256 dearest, int256 dirtiest) = (primary.marginalImport, ghg.marginalImport);
        for (uint256 h = 0; h < 24; ++h) {
            if (a == 0 && !primary.lacking) _readWeights(published[d], h, primary, ghg);
            if (primary.marginalImport > dearest) dearest = primary.marginalImport;
            if (ghg.marginalImport > dirtiest) dirtiest = ghg.marginalImport;
            PlainRule.Hour memory hour = recorded(d, h);
            _addAbsent(d, h, hour);
            hour.attributesOut = int256(moved[0][d][h]);
            hour.attributesIn = int256(moved[1][d][h]);
            discharged += hour.vehicleDischarge;
            charged += hour.vehicleCharge;
            if (hour.shortForeign > 0) vehiclesKnown = false;
            bool complete =
                hour.measured == POINTS && hour.members == MEMBERS && PlainRule.isConserved(hour) && !primary.lacking;
            PlainRule.add(t, hour, primary, ghg, complete);
        }
        int256 excess = discharged * 1_000 - charged;
        if (excess <= 0) return t;
        excess = (excess + 999) / 1_000;
        t.balance -= excess * dearest;
        t.lower -= excess * dearest;
        if (vehiclesKnown) t.upper -= excess * (primary.lacking ? primary.least : dearest);
        t.ghg += excess * dirtiest;
        t.ghgUpper += excess * dirtiest;
    }

    /// @notice What the sections that hold an hour say.
    function recorded(uint256 d, uint256 h) public view returns (PlainRule.Hour memory hour) {
        for (uint256 s = 0; s < STREAMS; ++s) {
            bytes memory section = sections[s][d][h];
            if (section.length == 0) continue;
            if (s == 2) _readSums(section, hour);
            else _readRecords(s, section, hour);
        }
    }

    function _readRecords(uint256 s, bytes memory section, PlainRule.Hour memory hour) private view {
        bool extra = false;
        bool carriers = false;
        for (uint256 p = 0; p < section.length / 8; ++p) {
            uint256 word = _number(section, p * 8, 8);
            uint256 status = ((word >> 63) << 1) | ((word >> 31) & 1);
            int256 supply = int256((word >> 32) & 0x7fffffff);
            int256 draw = int256(word & 0x7fffffff);
            uint8 kind = s == 0 ? plantKinds[p] : poolKinds[p];
            if (status == MEASURED) ++hour.measured;
            _addEnergies(hour, kind, supply, draw);
            if (Kind.isCarrier(kind) && supply + draw != 0) carriers = true;
            if (kind == Kind.VEHICLE && status != ESTIMATED) {
                hour.vehicleDischarge += supply;
                hour.vehicleCharge += draw * 900;
            }
            if (kind == Kind.FUEL_GENERATION) {
                hour.foreign += supply;
                if (supply != 0) extra = true;
            }
            if (status == MEASURED) continue;
            if (kind == Kind.VEHICLE || kind == Kind.FUEL_GENERATION) hour.shortForeign += int256(CAP);
            else if (kind != Kind.GRID && !Kind.isCarrier(kind)) continue;
            else if (status == ESTIMATED) ++hour.estimated;
            else if (kind == Kind.GRID) hour.shortGrid += int256(CAP);
            else hour.shortCarrier += int256(CAP);
            extra = true;
        }
        if (extra) ++hour.extraWriters;
        if (carriers) ++hour.carrierWriters;
    }

    function _readSums(bytes memory section, PlainRule.Hour memory hour) private pure {
        for (uint256 i = 33; i < section.length; i += 11) {
            uint8 kind = uint8(section[i]);
            uint256 present = _number(section, i + 1, 2);
            int256 supply = int256(_number(section, i + 3, 4));
            int256 draw = int256(_number(section, i + 7, 4));
            hour.members += present;
            _addEnergies(hour, kind, supply, draw);
            if (!Kind.isCarrier(kind)) continue;
            if (supply + draw != 0) ++hour.carrierWriters;
            if (present < 6) {
                hour.shortCarrier += int256(6 * CAP);
                ++hour.extraWriters;
            }
        }
    }

    function _addEnergies(PlainRule.Hour memory hour, uint8 kind, int256 supply, int256 draw) private pure {
        if (kind == Kind.GRID) {
            hour.imported += supply;
            hour.exported += draw;
        } else if (kind == Kind.STORAGE || kind == Kind.VEHICLE) {
            hour.discharge += supply;
            hour.charge += draw;
        } else if (Kind.isCarrier(kind)) {
            hour.bought[kind - GAS] += supply;
            hour.delivered[kind - GAS] += draw;
        } else {
            hour.production += supply;
            hour.consumption += draw;
        }
    }

    /// @dev A stream without a batch for the hour may hide all that its points could hold.
    function _addAbsent(uint256 d, uint256 h, PlainRule.Hour memory hour) private view {
        for (uint256 s = 0; s < STREAMS; ++s) {
            if (sections[s][d][h].length != 0) continue;
            if (s == 2) {
                hour.shortCarrier += int256(6 * CAP);
                continue;
            }
            hour.shortGrid += int256(CAP);
            hour.shortCarrier += int256(CAP);
            if (s == 0) hour.shortForeign += int256(2 * CAP);
        }
    }

    /// @dev The least favourable where factors lack; static ones for the second assessment. Carriers: see LedgerFixture.
    function _sameWeights(uint256 a, uint256 d)
        private
        view
        returns (PlainRule.Weights memory primary, PlainRule.Weights memory ghg)
    {
        (primary.least, primary.greatest, ghg.least, ghg.greatest) = (0, 3_000, 0, 1_000);
        for (uint256 c = 0; c < 8; ++c) {
            (primary.bought[c], ghg.bought[c]) = (3_000, 1_000);
        }
        (primary.bought[0], primary.delivered[0]) = a == 0 ? (int256(1_190), int256(500)) : (int256(1_190), int256(400));
        primary.bought[1] = a == 0 ? int256(900) : int256(700);
        (ghg.bought[0], ghg.delivered[0], ghg.bought[1]) = (252, 100, 150);
        if (a == 1) {
            (primary.average, primary.marginalImport, primary.marginalExport) = (2_000, 2_000, 1_900);
            (ghg.average, ghg.marginalImport, ghg.marginalExport) = (350, 350, 300);
        } else if (published[d].length == 0) {
            (primary.lacking, ghg.lacking) = (true, true);
            (primary.average, primary.marginalImport) = (3_000, 3_000);
            (ghg.average, ghg.marginalImport) = (1_000, 1_000);
        }
    }

    function _readWeights(bytes memory day, uint256 h, PlainRule.Weights memory primary, PlainRule.Weights memory ghg)
        private
        pure
    {
        primary.average = int256(_number(day, h * 12, 2));
        primary.marginalImport = int256(_number(day, h * 12 + 2, 2));
        primary.marginalExport = primary.marginalImport;
        ghg.average = int256(_number(day, h * 12 + 8, 2));
        ghg.marginalImport = int256(_number(day, h * 12 + 10, 2));
        ghg.marginalExport = ghg.marginalImport;
    }

    function _isPending(uint256 d) private view returns (bool) {
        return published[d].length == 0 && d >= factorFrontier && time <= (DAY + d + 1) * 1 days + 30 days;
    }

    // --- random batches ----------------------------------------------------------------------------------------------

    function _fill(uint256 seed, uint256 s, uint256 d, uint8 sequence, uint8 replaces)
        private
        returns (bytes memory payload)
    {
        for (uint8 h = 0; h < 24; ++h) {
            if (holder[s][d][h] != replaces || _closeOf(uint32(DAY + d), h) > time) continue;
            uint256 r = _random(seed, h);
            if (r % 6 == 0) continue;
            bytes memory section = s == 2 ? _sums(r) : s == 1 ? _poolRecords(r) : _plantRecords(r);
            payload = abi.encodePacked(payload, h, section);
            holder[s][d][h] = sequence;
            sections[s][d][h] = section;
        }
    }

    function _send(uint256 s, uint32 day, uint8 sequence, uint8 replaces, bytes memory payload, bytes memory old)
        private
    {
        bytes32 gatewayId = s == 0 ? PLANT : POOL;
        uint256 key = s == 0 ? PLANT_KEY : POOL_KEY;
        if (time >= _finalityOf(day)) {
            uint16 changed = s == 2 && replaces != 0 ? 5 : 0;
            adjust(Adjustment(gatewayId, day, sequence, replaces, s == 2, keccak256("late"), changed, payload), old);
        } else if (s == 2) {
            PrivateBatch memory b = PrivateBatch(gatewayId, day, sequence, replaces, replaces == 0 ? 0 : 5, payload);
            if (replaces == 0) record(key, b);
            else ledger.correctPrivate(b, sign(key, b), old);
        } else if (replaces == 0) {
            record(key, batch(gatewayId, day, sequence, 0, payload));
        } else {
            correct(key, batch(gatewayId, day, sequence, replaces, payload), old);
        }
    }

    /// @dev An hour that obeys conservation, in which now and then a point is not measured or a meter is wrong.
    function _plantRecords(uint256 r) private pure returns (bytes memory result) {
        uint256[7] memory supply;
        uint256[7] memory draw;
        supply[1] = _random(r, "production") % 600;
        draw[1] = _random(r, "auxiliary") % 50;
        draw[2] = _random(r, "consumption") % 600;
        (r >> 8) % 2 == 0 ? supply[3] = _random(r, "storage") % 200 : draw[3] = _random(r, "storage") % 200;
        (r >> 9) % 2 == 0 ? supply[4] = _random(r, "vehicle") % 100 : draw[4] = _random(r, "vehicle") % 100;
        supply[5] = (r >> 10) % 2 == 0 ? _random(r, "fuel") % 100 : 0;
        uint256 supplied = supply[1] + supply[3] + supply[4] + supply[5];
        uint256 drawn = draw[1] + draw[2] + draw[3] + draw[4];
        uint256 both = _random(r, "both ways") % 100;
        supply[0] = both + (drawn > supplied ? drawn - supplied : 0);
        draw[0] = both + (supplied > drawn ? supplied - drawn : 0);
        supply[6] = _random(r, "bought") % 900;
        draw[6] = _random(r, "delivered") % 900;
        for (uint256 p = 0; p < 7; ++p) {
            result = abi.encodePacked(result, _noisy(r, p, supply[p], draw[p], p == 2));
        }
    }

    function _poolRecords(uint256 r) private pure returns (bytes memory) {
        uint256 both = _random(r, "both ways") % 500;
        return abi.encodePacked(_noisy(r, 0, both, both, false), _noisy(r, 1, _random(r, "oil") % 300, 0, false));
    }

    function _noisy(uint256 r, uint256 p, uint256 supply, uint256 draw, bool isLoad)
        private
        pure
        returns (bytes memory)
    {
        uint256 noise = _random(r, 1_000 + p);
        if ((r >> 16) % 3 != 0 || noise % 3 != 0) return rec(MEASURED, supply, draw);
        uint8 status = uint8((noise >> 8) % 4);
        if (status == MISSING) return rec(MISSING, 0, 0);
        if (status == MEASURED) (supply, draw) = (isLoad ? 0 : CAP, (noise >> 16) % (CAP + 1));
        if (status == PARTIAL) (supply, draw) = (supply / 2, draw / 3);
        return rec(status, supply, draw);
    }

    /// @dev Root, number of kinds, and per kind the members and their sums; below five members nothing is told.
    function _sums(uint256 r) private pure returns (bytes memory) {
        uint256 balanced = _random(r, "balanced") % 6_000;
        uint256[3] memory present = [uint256(6), 6, 6];
        if ((r >> 16) % 3 == 0) {
            for (uint256 i = 0; i < 3; ++i) {
                present[i] = _random(r, 2_000 + i) % 7;
            }
        }
        uint256 produced = present[0] < 5 ? 0 : balanced;
        uint256 consumed = present[1] < 5 ? 0 : balanced;
        uint256 heat = present[2] < 5 ? 0 : _random(r, "heat") % 6_601;
        return abi.encodePacked(
            keccak256(abi.encode("root", r)),
            uint8(3),
            privateSum(Kind.GENERATION, uint16(present[0]), produced, 0),
            privateSum(Kind.LOAD, uint16(present[1]), 0, consumed),
            privateSum(HEAT, uint16(present[2]), heat, 0)
        );
    }

    function _random(uint256 seed, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, i)));
    }

    function _random(uint256 seed, string memory what) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what)));
    }

    function _number(bytes memory data, uint256 offset, uint256 size) private pure returns (uint256 value) {
        require(offset + size <= data.length, "beyond the end");
        assembly ("memory-safe") {
            value := shr(sub(256, mul(8, size)), mload(add(add(data, 32), offset)))
        }
    }
}

/// @notice After any history the stored cumulative sums are those of the hours, recomputed from the signed sections alone.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
/// forge-config: default.invariant.runs = 6
/// forge-config: ci.invariant.runs = 16
contract AssessmentsInvariantTest is ForgeTest {
    AssessmentsHandler private handler;

    function setUp() public {
        handler = new AssessmentsHandler();
        handler.start();
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = handler.write.selector;
        selectors[1] = handler.write.selector;
        selectors[2] = handler.write.selector;
        selectors[3] = handler.publishDay.selector;
        selectors[4] = handler.finalise.selector;
        selectors[5] = handler.book.selector;
        selectors[6] = handler.pass.selector;
        selectors[7] = handler.trade.selector;
        selectors[8] = handler.trade.selector;
        targetContract(address(handler));
        targetSelector(address(handler), selectors);
    }

    /// Every cumulative sum, with the Fenwick tree's, is the plain sum of the days before it; and each day lies in its bounds.
    function invariant_cumulative_sums_are_the_sums_of_the_hours() public view {
        assertEq(handler.surprises(), 0, "days finalised, entries booked");
        for (uint256 a = 0; a < 2; ++a) {
            Totals memory expected;
            Totals memory before;
            for (uint256 d = 0; d <= handler.frontier(a); ++d) {
                (Totals memory sum, Totals memory adjusted) = handler.stored(a, d);
                _add(sum, adjusted);
                _assertSame(sum, expected);
                if (d > 0) _assertInBounds(sum, before);
                before = sum;
                if (d < handler.frontier(a)) _add(expected, handler.countedOf(a, d));
            }
        }
    }

    /// The words of the ledger hold what the accepted sections say, of open and private batches together.
    function _assertLedgerDay(uint256 d) private view {
        (uint256[24] memory words, uint256[24] memory extras, uint256[48] memory carriers, uint256 vehicles) =
            handler.ledgerDay(d);
        int256 discharge = 0;
        int256 charge = 0;
        for (uint256 h = 0; h < 24; ++h) {
            PlainRule.Hour memory hour = handler.recorded(d, h);
            _assertWords(hour, words[h], extras[h]);
            for (uint256 c = 0; c < 8; ++c) {
                uint256 word = carriers[2 * h + c / 4] >> (64 * (c % 4));
                assertEq(word & 0xffffffff, uint256(hour.bought[c]), "bought");
                assertEq((word >> 32) & 0xffffffff, uint256(hour.delivered[c]), "delivered");
            }
            discharge += hour.vehicleDischarge;
            charge += hour.vehicleCharge;
        }
        assertEq(vehicles, uint256(discharge) | (uint256(charge) << 64), "vehicles");
    }

    /// At the end of every history: the ledger's words are those of the sections, and once all adjustments are booked, the days count as the records stand now, not as they stood when they were finalised.
    function afterInvariant() public {
        for (uint256 d = 0; d < handler.DAYS(); ++d) {
            _assertLedgerDay(d);
        }
        handler.bookAll();
        invariant_cumulative_sums_are_the_sums_of_the_hours();
        for (uint256 a = 0; a < 2; ++a) {
            for (uint256 d = 0; d < handler.frontier(a); ++d) {
                _assertSame(handler.countedOf(a, d), handler.recomputed(a, d));
            }
        }
    }

    function test_random_calls_reach_the_interesting_states() public {
        for (uint256 i = 0; i < 360; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("call", i)));
            uint256 what = seed % 11;
            seed >>= 8;
            if (what < 4) handler.write(seed);
            else if (what == 4) handler.publishDay(seed, i % 2 == 1);
            else if (what == 5) handler.finalise(seed);
            else if (what == 6) handler.book(seed);
            else if (what > 7) handler.trade(seed);
            else if (i % 3 == 0) handler.pass(seed);
        }
        afterInvariant();
        assertEq(handler.frontier(0), handler.DAYS());
        assertEq(handler.frontier(1), handler.DAYS());
        assertTrue(handler.corrections() > 9 && handler.lateRecords() > 9 && handler.changedByBooking() > 9, "changes");
        assertTrue(handler.moves() > 20 && handler.waited() > 0, "trades");
        assertTrue(handler.lacking() > 0 && handler.lacking() < handler.DAYS(), "days without factors");
        (Totals memory t,) = handler.stored(1, handler.DAYS());
        assertTrue(t.completeHours > 0 && t.completeHours < 72 && t.lower < t.balance && t.balance < t.upper, "hours");
    }

    function _assertWords(PlainRule.Hour memory hour, uint256 word, uint256 extra) private view {
        assertEq(word & 0xffffffff, uint256(hour.imported), "import");
        assertEq((word >> 32) & 0xffffffff, uint256(hour.exported), "export");
        assertEq((word >> 64) & 0xffffffff, uint256(hour.production), "production");
        assertEq((word >> 96) & 0xffffffff, uint256(hour.consumption), "consumption");
        assertEq((word >> 128) & 0xffffffff, uint256(hour.charge), "charge");
        assertEq((word >> 160) & 0xffffffff, uint256(hour.discharge), "discharge");
        assertEq((word >> 192) & 0xffff, hour.measured, "measured");
        assertEq((word >> 208) & 0xffff, hour.members, "members");
        assertLe(hour.measured, handler.POINTS());
        assertLe(hour.members, handler.MEMBERS());
        assertEq((word >> 224) & 0xffff, hour.extraWriters, "extra writers");
        assertEq(word >> 240, hour.carrierWriters, "carrier writers");
        assertEq(
            extra,
            hour.estimated | (uint256(hour.shortGrid) << 32) | (uint256(hour.shortCarrier) << 72)
                | (uint256(hour.shortForeign) << 112) | (uint256(hour.foreign) << 152),
            "extra word"
        );
    }

    function _assertInBounds(Totals memory sum, Totals memory before) private pure {
        int256 balance = sum.balance - before.balance;
        assertLe(sum.lower - before.lower, balance);
        assertLe(balance, sum.upper - before.upper);
        assertLe(sum.ghg - before.ghg, sum.ghgUpper - before.ghgUpper);
        assertLe(sum.completeHours - before.completeHours, int256(24));
        assertLe(int256(0), sum.completeHours - before.completeHours);
    }

    function _assertSame(Totals memory a, Totals memory b) private pure {
        assertEq(a.balance, b.balance, "balance");
        assertEq(a.lower, b.lower, "lower");
        assertEq(a.upper, b.upper, "upper");
        assertEq(a.ghg, b.ghg, "ghg");
        assertEq(a.ghgUpper, b.ghgUpper, "ghg upper");
        assertEq(a.completeHours, b.completeHours, "complete hours");
    }

    function _add(Totals memory a, Totals memory b) private pure {
        a.balance += b.balance;
        a.lower += b.lower;
        a.upper += b.upper;
        a.ghg += b.ghg;
        a.ghgUpper += b.ghgUpper;
        a.completeHours += b.completeHours;
    }
}
