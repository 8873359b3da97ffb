// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IFactors } from "contracts/interfaces/IFactors.sol";
import { CarrierFactor, Resolution, StaticFactors } from "contracts/types/Factor.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice A publisher who publishes, skips and creates vintages at random while time goes on, and an observer who writes
/// down the first final answer for every day.
contract FactorsHandler is RegistryFixture {
    uint256 public constant DAYS = 12;
    uint256 public constant MOST_VINTAGES = 5;

    IFactors public factors;
    uint256 public vintages;
    uint256 public finalAnswers;
    uint256 public changedAnswers;
    mapping(uint256 vintage => mapping(uint256 day => bool)) private _known;
    mapping(uint256 vintage => mapping(uint256 day => bytes32)) private _answers;

    function setUp() public override {
        super.setUp();
        factors = IFactors(deploy("Factors", abi.encode(registry)));
        create(0);
    }

    function create(uint256 parent) public {
        if (vintages == MOST_VINTAGES) return;
        bytes32 parentId = vintages == 0 || parent % 3 == 0 ? bytes32(0) : id(parent % vintages);
        vm.prank(publisher);
        factors.createVintage(
            id(vintages), parentId, 0, 3000, 900, StaticFactors(1, 1, 1, 1, 1, 1), new CarrierFactor[](0)
        );
        ++vintages;
        observe();
    }

    function publishDay(uint256 vintage, uint256 day, uint16 value) external {
        bytes memory content = new bytes(288);
        content[1] = bytes1(uint8(value));
        vm.prank(publisher);
        try factors.publishDay(id(vintage % vintages), ZONE, uint32(TODAY - 5 + day % DAYS), content) { } catch { }
        observe();
    }

    function wait_(uint256 seconds_) external {
        warpTo(time + bound(seconds_, 1, 8 days));
        observe();
    }

    function observe() public {
        for (uint256 v = 0; v < vintages; ++v) {
            for (uint256 d = 0; d < DAYS; ++d) {
                (Resolution resolution, address pointer) = factors.resolve(id(v), ZONE, TODAY - 5 + d);
                if (resolution == Resolution.Pending) {
                    if (_known[v][d]) ++changedAnswers;
                    continue;
                }
                bytes32 answer = keccak256(abi.encode(resolution, pointer, pointer.codehash));
                if (!_known[v][d]) {
                    _known[v][d] = true;
                    _answers[v][d] = answer;
                    ++finalAnswers;
                } else if (_answers[v][d] != answer) {
                    ++changedAnswers;
                }
            }
        }
    }

    function id(uint256 vintage) public pure returns (bytes32) {
        return bytes32(abi.encodePacked("vintage-", bytes1(uint8(97 + vintage))));
    }
}

contract FactorsInvariantTest is RegistryFixture {
    FactorsHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new FactorsHandler();
        handler.setUp();
        targetContract(address(handler));
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = FactorsHandler.create.selector;
        selectors[1] = FactorsHandler.publishDay.selector;
        selectors[2] = FactorsHandler.wait_.selector;
        targetSelector(address(handler), selectors);
    }

    function invariant_a_final_answer_for_a_vintage_day_never_changes() public view {
        assertEq(handler.changedAnswers(), 0);
    }

    /// @notice The observer does see final answers once the deadlines are over.
    function test_the_observer_sees_every_day_settle() public {
        handler.create(1);
        handler.publishDay(0, 3, 7);
        assertEq(handler.finalAnswers(), 4, "the published day and the three skipped ones before it");
        for (uint256 i = 0; i < 8; ++i) {
            handler.wait_(8 days);
        }
        assertEq(handler.finalAnswers(), 2 * handler.DAYS());
        assertEq(handler.changedAnswers(), 0);
    }
}
