// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ILedger, OpenBatch } from "contracts/interfaces/ILedger.sol";
import { PointDeclaration } from "contracts/types/Boundary.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Open batches: what is summed, what is counted, what is refused.
contract LedgerOpenTest is LedgerFixture {
    /// Caps are 1.1 times the nameplate: 1,100 Wh each, of the vehicle 2,200.
    uint32 private constant CAP = 1_100;

    function setUp() public override {
        super.setUp();
        PointDeclaration[] memory list = new PointDeclaration[](9);
        list[0] = point("GRID", Kind.GRID, 1_000);
        list[1] = point("PV", Kind.GENERATION, 1_000);
        list[2] = point("BATTERY", Kind.STORAGE, 1_000);
        list[3] = point("LOAD", Kind.LOAD, 1_000);
        list[4] = point("FUEL", Kind.FUEL_GENERATION, 1_000);
        list[5] = point("CAR", Kind.VEHICLE, 2_000);
        list[5].efficiencyPermille = 900;
        list[6] = point("GAS", 17, 1_000);
        list[7] = point("OIL", 21, 1_000);
        list[8] = point("GRID-2", Kind.GRID, 1_000);
        publish(DAY, changes(change(PLANT, list), change(POOL, points(point("POOL-LOAD", Kind.LOAD, 2_000_000)))));
        vm.warp(_closeOf(DAY, 23));
    }

    function _ordinary(uint8 hourOfDay) private pure returns (bytes memory) {
        return abi.encodePacked(
            hourOfDay,
            measured(1, 2),
            measured(3, 4),
            measured(5, 6),
            measured(0, 7),
            measured(8, 9),
            measured(10, 11),
            measured(12, 13),
            measured(14, 15),
            measured(16, 17)
        );
    }

    /// One record other than zero.
    function _only(uint256 index, bytes memory one) private pure returns (bytes memory payload) {
        payload = abi.encodePacked(uint8(0));
        for (uint256 i = 0; i < 9; ++i) {
            payload = abi.encodePacked(payload, i == index ? one : measured(0, 0));
        }
    }

    function _first(bytes memory payload) private pure returns (OpenBatch memory) {
        return batch(PLANT, DAY, 1, 0, payload);
    }

    function _expectRefused(OpenBatch memory b, bytes memory reason) private {
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectRevert(reason);
        ledger.recordOpen(b, signature);
    }

    // --- sums --------------------------------------------------------------------------------------------------------

    function test_each_kind_goes_to_its_lanes() public {
        record(PLANT_KEY, _first(_ordinary(5)));
        uint256 word = hourWord(DAY, 5);
        assertEq(lane(word, 0), 17, "import");
        assertEq(lane(word, 1), 19, "export");
        assertEq(lane(word, 2), 3 + 8, "production");
        assertEq(lane(word, 3), 4 + 7 + 9, "consumption");
        assertEq(lane(word, 4), 6 + 11, "charge");
        assertEq(lane(word, 5), 5 + 10, "discharge");
        assertEq(count(word, 192), 9, "measured");
        assertEq(count(word, 224), 1, "one batch wrote the extra word");
        assertEq(count(word, 240), 1, "one batch wrote carriers");
        (uint256[24] memory extras, uint256[48] memory carriers, uint256 vehicles) = ledger.detailWords(HARBOUR, DAY);
        assertEq(extras[5], uint256(8) << 152, "foreign generation only");
        assertEq(carriers[10], 12 | (13 << 32), "gas");
        assertEq(carriers[11], 14 | (15 << 32), "oil");
        assertEq(vehicles, 10 | (uint256(11 * 900) << 64), "vehicles");
        assertEq(hourWord(DAY, 4) | hourWord(DAY, 6), 0, "other hours");
    }

    function test_zero_is_a_value() public {
        record(PLANT_KEY, _first(_only(0, measured(0, 0))));
        assertEq(hourWord(DAY, 0), 9 << 192);
    }

    function test_exceptions_are_counted_by_kind() public {
        bytes memory payload = abi.encodePacked(
            uint8(0),
            rec(ESTIMATED, 1, 0),
            rec(PARTIAL, 2, 0),
            rec(MISSING, 0, 0),
            rec(ESTIMATED, 0, 3),
            rec(ESTIMATED, 4, 0),
            rec(PARTIAL, 5, 6),
            rec(ESTIMATED, 7, 0),
            rec(MISSING, 0, 0),
            rec(PARTIAL, 8, 0)
        );
        record(PLANT_KEY, _first(payload));
        assertEq(count(hourWord(DAY, 0), 192), 0, "none measured");
        uint256 extra = extraWord(DAY, 0);
        assertEq(count(extra, 0), 2, "estimated: grid and gas");
        assertEq((extra >> 32) & 0xffffffffff, CAP, "short grid cap");
        assertEq((extra >> 72) & 0xffffffffff, CAP, "short carrier cap");
        assertEq((extra >> 112) & 0xffffffffff, CAP + 2_200, "fuel estimated, vehicle partial");
        assertEq(extra >> 152, 4, "foreign generation, although estimated");
        (,, uint256 vehicles) = ledger.detailWords(HARBOUR, DAY);
        assertEq(vehicles, 5 | (uint256(6 * 900) << 64), "a partial vehicle counts");
    }

    function test_an_estimated_vehicle_offsets_nothing() public {
        record(PLANT_KEY, _first(_only(5, rec(ESTIMATED, 100, 200))));
        (,, uint256 vehicles) = ledger.detailWords(HARBOUR, DAY);
        assertEq(vehicles, 0);
        assertEq(lane(hourWord(DAY, 0), 4), 200, "charge is still summed");
    }

    /// All lanes at their greatest: no lane reaches its neighbour.
    function test_greatest_energies() public {
        bytes memory payload = abi.encodePacked(uint8(0));
        for (uint256 i = 0; i < 9; ++i) {
            uint256 capWh = i == 5 ? 2_200 : CAP;
            payload = abi.encodePacked(payload, measured(i == 3 ? 0 : capWh, capWh));
        }
        record(PLANT_KEY, _first(payload));
        uint256 word = hourWord(DAY, 0);
        assertEq(lane(word, 0), 2 * CAP);
        assertEq(lane(word, 1), 2 * CAP);
        assertEq(lane(word, 2), 2 * CAP);
        assertEq(lane(word, 3), 3 * CAP);
        assertEq(lane(word, 4), 3 * CAP);
        assertEq(lane(word, 5), 3 * CAP);
        assertEq(word >> 192, 9 | (1 << 32) | (1 << 48));
    }

    /// The largest district that the Registry allows in one lane, every record at its cap.
    function test_a_full_lane() public {
        // 2^32 - 1 of cap in the grid lanes, beside full lanes of generation and storage.
        uint32 nameplate = 976_128_930; // cap 1,073,741,823
        PointDeclaration[] memory list = new PointDeclaration[](12);
        for (uint256 i = 0; i < 12; ++i) {
            uint8 kind = i < 4 ? Kind.GRID : i < 8 ? Kind.GENERATION : Kind.STORAGE;
            list[i] = point(bytes32(abi.encodePacked("BIG", vm.toString(i))), kind, nameplate);
        }
        publishHill(DAY + 2, changes(change(HILL_GATEWAY, list)));
        uint256 key = 0x411;
        vm.prank(hillOperator);
        registry.rotateKey(HILL_GATEWAY, vm.addr(key));
        vm.warp(_closeOf(DAY + 2, 0));
        uint256 capWh = uint256(nameplate) * 11 / 10;
        bytes memory payload = abi.encodePacked(uint8(0));
        for (uint256 i = 0; i < 12; ++i) {
            payload = abi.encodePacked(payload, measured(capWh, capWh));
        }
        record(key, batch(HILL_GATEWAY, DAY + 2, 1, 0, payload));
        uint256 word = ledger.hourWords(HILL, DAY + 2)[0];
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(lane(word, i), 4 * capWh);
        }
        assertEq(word >> 192, 12);
    }

    /// The same with the largest points in the same place of successive words, whose records are added up as they are.
    function test_a_full_lane_in_one_place_of_the_words() public {
        // Caps of 1,073,741,823 Wh; of the generators 11 less, which leaves room for the loads in their lanes.
        uint32 nameplate = 976_128_930;
        uint32[4] memory nameplates = [nameplate, nameplate - 10, nameplate, 1];
        uint8[4] memory kinds = [Kind.GRID, Kind.GENERATION, Kind.STORAGE, Kind.LOAD];
        PointDeclaration[] memory list = new PointDeclaration[](16);
        for (uint256 i = 0; i < 16; ++i) {
            list[i] = point(bytes32(abi.encodePacked("BIG", vm.toString(i))), kinds[i % 4], nameplates[i % 4]);
        }
        publishHill(DAY + 2, changes(change(HILL_GATEWAY, list)));
        vm.prank(hillOperator);
        registry.rotateKey(HILL_GATEWAY, vm.addr(0x411));
        vm.warp(_closeOf(DAY + 2, 1));
        uint256[3] memory capsWh =
            [uint256(nameplate) * 11 / 10, uint256(nameplate - 10) * 11 / 10, uint256(nameplate) * 11 / 10];
        bytes memory payload;
        for (uint8 h = 0; h < 2; ++h) {
            payload = abi.encodePacked(payload, h);
            for (uint256 i = 0; i < 16; ++i) {
                // In hour 1 the third word is not common, and the others go on around it.
                bytes memory one = i % 4 == 3 ? measured(0, 0) : measured(capsWh[i % 4], capsWh[i % 4]);
                payload = abi.encodePacked(payload, h == 1 && i == 8 ? rec(MISSING, 0, 0) : one);
            }
        }
        record(0x411, batch(HILL_GATEWAY, DAY + 2, 1, 0, payload));
        uint256[24] memory words = ledger.hourWords(HILL, DAY + 2);
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(lane(words[0], i), 4 * capsWh[i / 2]);
            assertEq(lane(words[1], i), (i < 2 ? 3 : 4) * capsWh[i / 2]);
        }
        assertEq(words[0] >> 192, 16);
        assertEq(words[1] >> 192, 15 | (1 << 32));
    }

    /// A load that claims a supply is found among words that are added up together too, and named.
    function test_a_load_supplies_nothing_in_any_word() public {
        PointDeclaration[] memory list = new PointDeclaration[](12);
        for (uint256 i = 0; i < 12; ++i) {
            list[i] = point(bytes32(abi.encodePacked("HOUSE", vm.toString(i))), Kind.LOAD, 1_000);
        }
        publishHill(DAY + 2, changes(change(HILL_GATEWAY, list)));
        vm.prank(hillOperator);
        registry.rotateKey(HILL_GATEWAY, vm.addr(0x411));
        vm.warp(_closeOf(DAY + 2, 0));
        for (uint256 liar = 0; liar < 12; ++liar) {
            bytes memory payload = abi.encodePacked(uint8(0));
            for (uint256 i = 0; i < 12; ++i) {
                payload = abi.encodePacked(payload, measured(i == liar ? 1 : 0, 500));
            }
            OpenBatch memory b = batch(HILL_GATEWAY, DAY + 2, 1, 0, payload);
            bytes memory signature = sign(0x411, b);
            vm.expectRevert(abi.encodeWithSelector(ILedger.LoadSupply.selector, liar, 1));
            ledger.recordOpen(b, signature);
        }
    }

    /// Every record against a sum made one by one, over all kinds, numbers of points, statuses and orders of the points.
    function testFuzz_sums(uint256 seed, uint8 howMany, bool plain) public {
        // Few points mostly, because declaring them takes most of the time: up to three words of records, or up to six.
        uint256 n = bound(howMany, 1, seed % 5 == 0 ? 23 : 9);
        PointDeclaration[] memory list = new PointDeclaration[](n);
        uint8[6] memory kinds = [Kind.GRID, Kind.GENERATION, Kind.STORAGE, Kind.LOAD, Kind.FUEL_GENERATION, 18];
        for (uint256 i = 0; i < n; ++i) {
            // Anyhow, the same four over and over, or sorted.
            uint256 place = seed % 3 == 0 ? i : seed % 3 == 1 ? i % 4 : i / 7;
            uint8 kind = kinds[uint256(keccak256(abi.encode(seed, place))) % (plain ? 4 : 6)];
            list[i] = point(bytes32(bytes1(uint8(65 + i))), kind, 1_000);
        }
        publishHill(DAY + 2, changes(change(HILL_GATEWAY, list)));
        vm.prank(hillOperator);
        registry.rotateKey(HILL_GATEWAY, vm.addr(0x411));
        vm.warp(_closeOf(DAY + 2, 7));

        uint256[6] memory sums;
        uint256[2] memory carrier;
        uint256 measuredCount;
        uint256 shortGrid;
        // Longer than it will be, because a record is put as a whole word.
        bytes memory payload = new bytes(1 + 8 * n + 24);
        payload[0] = bytes1(uint8(7));
        for (uint256 i = 0; i < n; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i, "record")));
            uint8 status = plain || random % 3 != 0 ? 0 : uint8((random >> 8) % 4);
            uint8 kind = list[i].kind;
            uint256 supply = status == MISSING || kind == Kind.LOAD ? 0 : (random >> 16) % (CAP + 1);
            uint256 draw = status == MISSING ? 0 : (random >> 48) % (CAP + 1);
            _put(payload, 1 + 8 * i, rec(status, supply, draw));
            if (status == 0) ++measuredCount;
            if (kind == Kind.GRID) {
                sums[0] += supply;
                sums[1] += draw;
                if (status > 1) shortGrid += CAP;
            } else if (kind == 18) {
                carrier[0] += supply;
                carrier[1] += draw;
            } else if (kind == Kind.STORAGE) {
                sums[5] += supply;
                sums[4] += draw;
            } else {
                sums[2] += supply;
                sums[3] += draw;
            }
        }
        assembly ("memory-safe") {
            mstore(payload, add(mul(8, n), 1))
        }
        record(0x411, batch(HILL_GATEWAY, DAY + 2, 1, 0, payload));
        uint256 word = ledger.hourWords(HILL, DAY + 2)[7];
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(lane(word, i), sums[i], "lane");
        }
        assertEq(count(word, 192), measuredCount, "measured");
        (uint256[24] memory extras, uint256[48] memory carriers,) = ledger.detailWords(HILL, DAY + 2);
        assertEq(carriers[14], (carrier[0] << 64) | (carrier[1] << 96), "heat");
        assertEq((extras[7] >> 32) & 0xffffffffff, shortGrid, "short grid");
    }

    /// @dev The eight bytes of a record, and 24 behind them that are not written yet.
    function _put(bytes memory payload, uint256 place, bytes memory eight) private pure {
        assembly ("memory-safe") {
            mstore(add(add(payload, 32), place), mload(add(eight, 32)))
        }
    }

    // --- signer ------------------------------------------------------------------------------------------------------

    function test_anyone_may_carry_a_batch() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.prank(stranger);
        ledger.recordOpen(b, signature);
        assertEq(count(hourWord(DAY, 0), 192), 9);
    }

    function test_refuses_another_key() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.WrongSigner.selector, vm.addr(POOL_KEY), vm.addr(PLANT_KEY)));
        ledger.recordOpen(b, signature);
    }

    /// What was signed for one gateway cannot be told of another.
    function test_refuses_a_changed_field() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory signature = sign(PLANT_KEY, b);
        b.payload[9] ^= 0x01;
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.recordOpen(b, signature);
        b.payload[9] ^= 0x01;
        b.day = DAY - 1;
        vm.expectRevert(abi.encodeWithSelector(ILedger.NoPoints.selector, PLANT, DAY - 1));
        ledger.recordOpen(b, signature);
    }

    function test_refuses_a_signature_for_another_chain_or_contract() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory otherChain = _signFor(PLANT_KEY, _structHash(b), block.chainid + 1, address(ledger));
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.recordOpen(b, otherChain);
        ILedger other = ILedger(deploy("Ledger", abi.encode(registry, FINALITY)));
        bytes memory otherContract = _signFor(PLANT_KEY, _structHash(b), block.chainid, address(other));
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.recordOpen(b, otherContract);
        other.recordOpen(b, otherContract);
    }

    function test_refuses_after_a_fork_of_the_chain() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.chainId(4242);
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.recordOpen(b, signature);
    }

    function test_refuses_malleable_and_malformed_signatures() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes32 digest = _digest(_structHash(b), block.chainid, address(ledger));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PLANT_KEY, digest);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes[5] memory bad = [
            abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, s),
            abi.encodePacked(r, s, v, uint8(0)),
            bytes("")
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectPartialRevert(ILedger.WrongSigner.selector);
            ledger.recordOpen(b, bad[i]);
        }
        ledger.recordOpen(b, abi.encodePacked(r, s, v));
    }

    function test_refuses_a_revoked_key_and_takes_the_new_one() public {
        vm.prank(operator);
        registry.revokeKey(PLANT, 0);
        OpenBatch memory b = _first(_ordinary(0));
        _expectRefused(b, abi.encodeWithSelector(ILedger.KeyRevoked.selector, PLANT));
        vm.prank(operator);
        registry.rotateKey(PLANT, vm.addr(0x777));
        bytes memory old = sign(PLANT_KEY, b);
        vm.expectPartialRevert(ILedger.WrongSigner.selector);
        ledger.recordOpen(b, old);
        record(0x777, b);
    }

    function test_refuses_unknown_gateways() public {
        OpenBatch memory b = batch("nobody", DAY, 1, 0, _ordinary(0));
        _expectRefused(b, abi.encodeWithSelector(ILedger.NoPoints.selector, bytes32("nobody"), DAY));
    }

    // --- sequence and hours ------------------------------------------------------------------------------------------

    function test_refuses_a_replay_and_gaps() public {
        record(PLANT_KEY, _first(_ordinary(0)));
        _expectRefused(_first(_ordinary(0)), abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 1, 2));
        _expectRefused(
            batch(PLANT, DAY, 3, 0, _ordinary(1)), abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 3, 2)
        );
        _expectRefused(
            batch(PLANT, DAY, 0, 0, _ordinary(1)), abi.encodeWithSelector(ILedger.SequenceMismatch.selector, 0, 2)
        );
        record(PLANT_KEY, batch(PLANT, DAY, 2, 0, _ordinary(1)));
    }

    function test_days_have_their_own_sequences() public {
        vm.warp(_closeOf(DAY + 1, 23));
        record(PLANT_KEY, batch(PLANT, DAY + 1, 1, 0, _ordinary(3)));
        record(PLANT_KEY, batch(PLANT, DAY, 1, 0, _ordinary(3)));
        assertEq(hourWord(DAY, 3), hourWord(DAY + 1, 3));
    }

    function test_refuses_an_hour_twice() public {
        record(PLANT_KEY, _first(_ordinary(4)));
        _expectRefused(
            batch(PLANT, DAY, 2, 0, abi.encodePacked(_ordinary(3), _ordinary(4))),
            abi.encodeWithSelector(ILedger.HourAlreadyRecorded.selector, uint32(DAY * 24 + 4), 1)
        );
        assertEq(hourWord(DAY, 3), 0, "nothing half applied");
    }

    function test_refuses_hours_out_of_order() public {
        _expectRefused(
            _first(abi.encodePacked(_ordinary(4), _ordinary(3))),
            abi.encodeWithSelector(ILedger.HoursNotAscending.selector, 3, 4)
        );
        _expectRefused(
            _first(abi.encodePacked(_ordinary(4), _ordinary(4))),
            abi.encodeWithSelector(ILedger.HoursNotAscending.selector, 4, 4)
        );
        _expectRefused(_first(_ordinary(24)), abi.encodeWithSelector(ILedger.HourOutOfRange.selector, 24));
    }

    function test_an_hour_closes_with_the_granted_skew() public {
        vm.warp(_closeOf(DAY, 7) - 121);
        _expectRefused(
            _first(_ordinary(7)),
            abi.encodeWithSelector(ILedger.HourNotClosed.selector, uint32(DAY * 24 + 7), block.timestamp)
        );
        vm.warp(_closeOf(DAY, 7) - 120);
        record(PLANT_KEY, _first(_ordinary(7)));
    }

    function test_finality_to_the_second() public {
        uint256 finalFrom = _finalityOf(DAY);
        vm.warp(finalFrom);
        _expectRefused(_first(_ordinary(0)), abi.encodeWithSelector(ILedger.DayIsFinal.selector, DAY, finalFrom));
        vm.warp(finalFrom - 1);
        record(PLANT_KEY, _first(_ordinary(0)));
    }

    // --- records -----------------------------------------------------------------------------------------------------

    function test_cap_is_the_most() public {
        for (uint256 i = 0; i < 9; ++i) {
            uint256 capWh = i == 5 ? 2_200 : CAP;
            bytes memory tooMuch = abi.encodeWithSelector(ILedger.EnergyAboveCap.selector, i, capWh + 1, capWh);
            _expectRefused(_first(_only(i, measured(0, capWh + 1))), tooMuch);
            _expectRefused(_first(_only(i, rec(ESTIMATED, 0, capWh + 1))), tooMuch);
            if (i == 3) continue;
            _expectRefused(_first(_only(i, measured(capWh + 1, 0))), tooMuch);
            _expectRefused(_first(_only(i, rec(PARTIAL, capWh + 1, 0))), tooMuch);
            _expectRefused(
                _first(_only(i, measured(2 ** 31 - 1, 0))),
                abi.encodeWithSelector(ILedger.EnergyAboveCap.selector, i, 2 ** 31 - 1, capWh)
            );
        }
    }

    function test_a_load_supplies_nothing() public {
        bytes memory refused = abi.encodeWithSelector(ILedger.LoadSupply.selector, 3, 1);
        _expectRefused(_first(_only(3, measured(1, 0))), refused);
        _expectRefused(_first(_only(3, rec(PARTIAL, 1, 0))), refused);
        OpenBatch memory b = batch(POOL, DAY, 1, 0, abi.encodePacked(uint8(0), measured(1, 5)));
        bytes memory signature = sign(POOL_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.LoadSupply.selector, 0, 1));
        ledger.recordOpen(b, signature);
    }

    function test_missing_holds_nothing() public {
        _expectRefused(
            _first(_only(2, rec(MISSING, 1, 0))), abi.encodeWithSelector(ILedger.MissingWithEnergy.selector, 2, 1, 0)
        );
        _expectRefused(
            _first(_only(8, rec(MISSING, 0, 2))), abi.encodeWithSelector(ILedger.MissingWithEnergy.selector, 8, 0, 2)
        );
    }

    function testFuzz_refuses_other_lengths(uint16 length) public {
        uint256 unit = 1 + 8 * 9;
        uint256 n = bound(length, 0, 3 * unit);
        if (n != 0 && n % unit == 0) ++n;
        _expectRefused(_first(new bytes(n)), abi.encodeWithSelector(ILedger.PayloadLength.selector, n, unit));
    }

    // --- corrections -------------------------------------------------------------------------------------------------

    function test_a_correction_replaces_exactly() public {
        record(PLANT_KEY, _first(abi.encodePacked(_ordinary(0), _ordinary(1), _ordinary(2))));
        uint256 untouched = hourWord(DAY, 0);
        bytes memory old = abi.encodePacked(_ordinary(0), _ordinary(1), _ordinary(2));
        bytes memory changed = abi.encodePacked(uint8(1));
        for (uint256 i = 0; i < 9; ++i) {
            changed = abi.encodePacked(changed, i % 2 == 0 ? rec(MISSING, 0, 0) : rec(ESTIMATED, 0, 20 + i));
        }
        correct(PLANT_KEY, batch(PLANT, DAY, 2, 1, changed), old);
        assertEq(hourWord(DAY, 0), untouched);
        assertEq(hourWord(DAY, 2), untouched);

        // The same as if the corrected records had come first.
        vm.warp(_closeOf(DAY + 1, 23));
        record(PLANT_KEY, batch(PLANT, DAY + 1, 1, 0, changed));
        assertEq(hourWord(DAY, 1), hourWord(DAY + 1, 1));
        assertEq(extraWord(DAY, 1), extraWord(DAY + 1, 1));

        // And back again.
        correct(PLANT_KEY, batch(PLANT, DAY, 3, 2, _ordinary(1)), changed);
        assertEq(hourWord(DAY, 1), untouched);
        uint256 stream = ledger.streamWord(PLANT, DAY, false);
        assertEq(stream & 0xffffff, 0x010301, "holders of the hours");
        assertEq((stream >> 192) & 0xff, 3, "last sequence");
        assertEq(ledger.batchHash(PLANT, DAY, false, 2), keccak256(changed));
    }

    function test_correction_games() public {
        bytes memory first = abi.encodePacked(_ordinary(0), _ordinary(1));
        record(PLANT_KEY, _first(first));
        correct(PLANT_KEY, batch(PLANT, DAY, 2, 1, _ordinary(1)), first);

        // A stale old payload: batch 1 no longer holds hour 1.
        OpenBatch memory b = batch(PLANT, DAY, 3, 1, _ordinary(1));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.HourNotHeld.selector, uint32(DAY * 24 + 1), 2, 1));
        ledger.correctOpen(b, signature, first);
        // Hours of two holders in one correction.
        b = batch(PLANT, DAY, 3, 1, first);
        signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.HourNotHeld.selector, uint32(DAY * 24 + 1), 2, 1));
        ledger.correctOpen(b, signature, first);
        // Another payload than the one on record, truncated or over-long.
        bytes[3] memory wrong = [_ordinary(0), abi.encodePacked(first, uint8(0)), bytes("")];
        b = batch(PLANT, DAY, 3, 1, _ordinary(0));
        signature = sign(PLANT_KEY, b);
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(ILedger.OldPayloadMismatch.selector, keccak256(first), keccak256(wrong[i]))
            );
            ledger.correctOpen(b, signature, wrong[i]);
        }
        // A batch that does not exist, an hour that nobody holds, the batch itself.
        b = batch(PLANT, DAY, 3, 9, _ordinary(0));
        signature = sign(PLANT_KEY, b);
        vm.expectPartialRevert(ILedger.OldPayloadMismatch.selector);
        ledger.correctOpen(b, signature, first);
        b = batch(PLANT, DAY, 3, 3, _ordinary(0));
        signature = sign(PLANT_KEY, b);
        vm.expectPartialRevert(ILedger.OldPayloadMismatch.selector);
        ledger.correctOpen(b, signature, b.payload);
        b = batch(PLANT, DAY, 3, 1, _ordinary(5));
        signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.HourNotHeld.selector, uint32(DAY * 24 + 5), 0, 1));
        ledger.correctOpen(b, signature, first);
    }

    function test_record_and_correct_do_not_stand_in_for_each_other() public {
        OpenBatch memory b = batch(PLANT, DAY, 1, 1, _ordinary(0));
        _expectRefused(b, abi.encodeWithSelector(ILedger.ReplacesMismatch.selector, 1));
        b.replaces = 0;
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.ReplacesMismatch.selector, 0));
        ledger.correctOpen(b, signature, "");
    }

    function test_a_correction_ends_with_finality() public {
        record(PLANT_KEY, _first(_ordinary(0)));
        vm.warp(_finalityOf(DAY));
        OpenBatch memory b = batch(PLANT, DAY, 2, 1, _ordinary(0));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectRevert(abi.encodeWithSelector(ILedger.DayIsFinal.selector, DAY, _finalityOf(DAY)));
        ledger.correctOpen(b, signature, b.payload);
    }

    // --- several at once ---------------------------------------------------------------------------------------------

    function test_a_failing_batch_does_not_revert_the_others() public {
        OpenBatch memory good = _first(_ordinary(0));
        OpenBatch memory bad = batch(PLANT, DAY, 2, 0, _ordinary(0));
        OpenBatch memory pool = batch(POOL, DAY, 1, 0, abi.encodePacked(uint8(0), measured(0, 1_500_000)));
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(ledger.recordOpen, (good, sign(PLANT_KEY, good)));
        calls[1] = abi.encodeCall(ledger.recordOpen, (bad, sign(PLANT_KEY, bad)));
        calls[2] = abi.encodeCall(ledger.recordOpen, (pool, sign(POOL_KEY, pool)));
        vm.recordLogs();
        ledger.recordMany(calls);
        assertEq(count(hourWord(DAY, 0), 192), 10);
        assertEq(lane(hourWord(DAY, 0), 3), 1_500_020);
        assertEq((ledger.streamWord(PLANT, DAY, false) >> 192) & 0xff, 1);
        assertEq(vm.getRecordedLogs().length, 3);
    }

    function test_skips_what_is_no_batch() public {
        OpenBatch memory good = _first(_ordinary(0));
        bytes[] memory inner = new bytes[](0);
        bytes[] memory calls = new bytes[](6);
        calls[0] = abi.encodeCall(ledger.recordMany, (inner));
        calls[1] = abi.encodeCall(ledger.scanCompromise, (HARBOUR, 1));
        calls[2] = hex"12";
        calls[3] = "";
        calls[4] = abi.encodePacked(ledger.recordOpen.selector, hex"1234");
        calls[5] = abi.encodeCall(ledger.recordOpen, (good, sign(PLANT_KEY, good)));
        _expectUnknown(0, ledger.recordMany.selector);
        _expectUnknown(1, ledger.scanCompromise.selector);
        _expectUnknown(2, 0x12000000);
        _expectUnknown(3, 0);
        vm.expectEmit(address(ledger));
        emit ILedger.BatchSkipped(4, "");
        ledger.recordMany(calls);
        assertEq((ledger.streamWord(PLANT, DAY, false) >> 192) & 0xff, 1, "the good one is there");
    }

    function _expectUnknown(uint256 index, bytes4 selector) private {
        vm.expectEmit(address(ledger));
        emit ILedger.BatchSkipped(index, abi.encodeWithSelector(ILedger.UnknownCall.selector, selector));
    }

    function test_an_event_rebuilds_the_batch() public {
        OpenBatch memory b = _first(_ordinary(0));
        bytes memory signature = sign(PLANT_KEY, b);
        vm.expectEmit(address(ledger));
        emit ILedger.OpenBatchRecorded(PLANT, HARBOUR, DAY, 1, 0, vm.addr(PLANT_KEY), b.payload, signature);
        ledger.recordOpen(b, signature);
    }
}
