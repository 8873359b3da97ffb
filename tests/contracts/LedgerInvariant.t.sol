// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { Adjustment, OpenBatch } from "contracts/interfaces/ILedger.sol";
import { Kind } from "contracts/types/Kind.sol";
import { LedgerFixture } from "testing/LedgerFixture.sol";

/// @notice Records, corrects, adjusts and taints the hours of one day at random, and remembers which section of which batch
/// holds each hour.
contract LedgerHandler is LedgerFixture {
    bytes32[2] private gateways = [PLANT, POOL];
    uint256[2] private keys = [PLANT_KEY, POOL_KEY];
    uint256 private freshKey = 0x1000;
    uint8[2] public lastSequence;
    bytes[256][2] private payloads;
    uint8[24][2] public holder;
    bool[24][2] public tainted;
    /// Energies in the order import, export, production, consumption, charge, discharge; measured; estimated; short grid cap.
    uint256[9][24][2] public held;
    uint256[9] private writing;
    uint256 public accepted;

    function start() external {
        setUp();
        publish(
            DAY,
            changes(
                change(
                    PLANT,
                    points(
                        point("GRID", Kind.GRID, 1_000),
                        point("PV", Kind.GENERATION, 1_000),
                        point("LOAD", Kind.LOAD, 1_000)
                    )
                ),
                change(POOL, points(point("GRID-2", Kind.GRID, 1_000), point("BATTERY", Kind.STORAGE, 1_000)))
            )
        );
        vm.warp(_closeOf(DAY, 23));
    }

    function write(uint256 seed, bool asCorrection) external {
        uint256 g = seed % 2;
        if (lastSequence[g] == 255) return;
        uint8 replaces = 0;
        if (asCorrection && lastSequence[g] != 0) replaces = uint8(1 + (seed >> 8) % lastSequence[g]);
        bytes memory payload;
        uint8 sequence = lastSequence[g] + 1;
        for (uint8 h = 0; h < 24; ++h) {
            if (holder[g][h] != replaces || _random(seed, h) % 3 == 0) continue;
            payload = abi.encodePacked(payload, h, _records(seed, g, h));
            (holder[g][h], tainted[g][h], held[g][h]) = (sequence, false, writing);
        }
        if (payload.length == 0) return;
        bytes memory old = replaces == 0 ? bytes("") : payloads[g][replaces];
        if (block.timestamp >= _finalityOf(DAY)) {
            adjust(Adjustment(gateways[g], DAY, sequence, replaces, false, 0, 0, payload), old);
        } else {
            OpenBatch memory b = batch(gateways[g], DAY, sequence, replaces, payload);
            if (replaces == 0) record(keys[g], b);
            else correct(keys[g], b, old);
        }
        lastSequence[g] = sequence;
        payloads[g][sequence] = payload;
        ++accepted;
    }

    function compromise(uint256 seed) external {
        uint256 g = seed % 2;
        if (lastSequence[g] == 0 || seed % 5 != 0) return;
        uint256 acceptedAt = (ledger.streamWord(gateways[g], DAY, false) >> 200) & 0xffffffff;
        uint64 since = uint64(_closeOf(DAY, 23));
        vm.startPrank(operator);
        registry.revokeKey(gateways[g], since);
        keys[g] = ++freshKey;
        registry.rotateKey(gateways[g], vm.addr(keys[g]));
        vm.stopPrank();
        while (!ledger.scanCompromise(HARBOUR, 3)) { }
        for (uint256 h = 0; h < 24; ++h) {
            if (acceptedAt >= since && holder[g][h] != 0) tainted[g][h] = true;
        }
    }

    function pass(uint256 seed) external {
        if (seed % 4 == 0) vm.warp(block.timestamp + seed % 2 days);
    }

    function _random(uint256 seed, uint256 i) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, i)));
    }

    function _records(uint256 seed, uint256 g, uint256 h) private returns (bytes memory result) {
        delete writing;
        uint8[3] memory kinds = g == 0 ? [Kind.GRID, Kind.GENERATION, Kind.LOAD] : [Kind.GRID, Kind.STORAGE, 0];
        for (uint256 p = 0; p < 3 && kinds[p] != 0; ++p) {
            uint256 random = _random(seed, 100 * h + p + 24);
            uint8 status = random % 4 == 0 ? uint8((random >> 8) % 4) : 0;
            uint256 supply = status == MISSING || kinds[p] == Kind.LOAD ? 0 : (random >> 16) % 1_101;
            uint256 draw = status == MISSING ? 0 : (random >> 48) % 1_101;
            result = abi.encodePacked(result, rec(status, supply, draw));
            if (kinds[p] == Kind.GRID) {
                (writing[0], writing[1]) = (supply, draw);
                if (status == ESTIMATED) writing[7] = 1;
                if (status > ESTIMATED) writing[8] = 1_100;
            } else if (kinds[p] == Kind.STORAGE) {
                (writing[5], writing[4]) = (supply, draw);
            } else {
                writing[2] += supply;
                writing[3] += draw;
            }
            if (status == MEASURED) ++writing[6];
        }
    }

    function words() external view returns (uint256[24] memory hourWords, uint256[24] memory extras) {
        (extras,,) = ledger.detailWords(HARBOUR, DAY);
        hourWords = ledger.hourWords(HARBOUR, DAY);
    }

    /// @notice What the ledger says of a gateway's day, and what this remembers of it; in one call, because calls are slow.
    function remembered(uint256 g)
        external
        view
        returns (uint256 stream, uint8[24] memory holders, bool[24] memory taints, uint256[9][24] memory energies)
    {
        return (ledger.streamWord(gateways[g], DAY, false), holder[g], tainted[g], held[g]);
    }
}

/// @notice After any history, the words hold exactly what the records that hold the hours now add up to.
contract LedgerInvariantTest is LedgerFixture {
    LedgerHandler private handler;

    function setUp() public override {
        handler = new LedgerHandler();
        handler.start();
        bytes4[] memory selectors = new bytes4[](4);
        selectors[0] = handler.write.selector;
        selectors[1] = handler.write.selector;
        selectors[2] = handler.compromise.selector;
        selectors[3] = handler.pass.selector;
        targetContract(address(handler));
        targetSelector(address(handler), selectors);
    }

    function invariant_words_are_the_sums_of_what_holds_the_hours() public view {
        (uint256[24] memory hourWords, uint256[24] memory extras) = handler.words();
        uint256[9][24] memory sums;
        uint256[24] memory taints;
        uint256[24] memory writers;
        for (uint256 g = 0; g < 2; ++g) {
            _add(g, sums, taints, writers);
        }
        for (uint256 h = 0; h < 24; ++h) {
            for (uint256 i = 0; i < 6; ++i) {
                assertEq(lane(hourWords[h], i), sums[h][i], "lane");
            }
            assertEq(count(hourWords[h], 192), sums[h][6], "measured");
            assertLe(count(hourWords[h], 192), 5);
            assertEq(count(hourWords[h], 224), writers[h] + taints[h], "extra writers");
            assertEq(count(extras[h], 0), sums[h][7], "estimated");
            assertEq(count(extras[h], 16), taints[h], "tainted");
            assertEq((extras[h] >> 32) & 0xffffffffff, sums[h][8], "short grid cap");
        }
    }

    function _add(uint256 g, uint256[9][24] memory sums, uint256[24] memory taints, uint256[24] memory writers)
        private
        view
    {
        (uint256 stream, uint8[24] memory holders, bool[24] memory tainted, uint256[9][24] memory energies) =
            handler.remembered(g);
        for (uint256 h = 0; h < 24; ++h) {
            for (uint256 i = 0; i < 9; ++i) {
                sums[h][i] += energies[h][i];
            }
            if (energies[h][7] != 0 || energies[h][8] != 0) ++writers[h];
            if (tainted[h]) ++taints[h];
            assertEq((stream >> (8 * h)) & 0xff, holders[h], "holder");
            assertEq((stream >> (232 + h)) & 1, tainted[h] ? 1 : 0, "taint bit");
        }
    }
}
