// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IAssessments } from "contracts/interfaces/IAssessments.sol";
import { IClaims } from "contracts/interfaces/IClaims.sol";
import { IFactors } from "contracts/interfaces/IFactors.sol";
import { Adjustment, ILedger, OpenBatch, PrivateBatch } from "contracts/interfaces/ILedger.sol";
import { Terms } from "contracts/interfaces/IMarketRules.sol";
import { GatewayBoundary, PointDeclaration } from "contracts/types/Boundary.sol";
import { CarrierFactor, StaticFactors } from "contracts/types/Factor.sol";
import { RegistryFixture } from "testing/RegistryFixture.sol";

/// @notice A whole platform: two gateways of one district whose keys can sign, an auditor, factors. Messages are packed and
/// signed here by hand, from the text of their format, not with the contracts' own code.
abstract contract LedgerFixture is RegistryFixture {
    uint256 internal constant PLANT_KEY = 0xA11CE;
    uint256 internal constant POOL_KEY = 0xB0B;
    uint256 internal constant OPERATOR_KEY = 0x0FE;
    uint256 internal constant AUDITOR_KEY = 0xAD17;
    uint256 internal constant OWN_AUDITOR_KEY = 0xAD18;
    uint256 internal constant FINALITY = 7 days;
    bytes32 internal constant VINTAGE = "2026";

    uint8 internal constant MEASURED = 0;
    uint8 internal constant ESTIMATED = 1;
    uint8 internal constant PARTIAL = 2;
    uint8 internal constant MISSING = 3;

    /// @dev First day with points; `_atHour` moves the clock.
    uint32 internal constant DAY = uint32(TODAY) + 1;

    IFactors internal factors;
    ILedger internal ledger;
    IClaims internal claims;
    IAssessments internal assessments;

    function setUp() public virtual override {
        super.setUp();
        factors = IFactors(deploy("Factors", abi.encode(registry)));
        ledger = ILedger(deploy("Ledger", abi.encode(registry, FINALITY)));
        claims = _deployClaims();
        assessments = IAssessments(deploy("Assessments", abi.encode(registry, factors, ledger, claims)));
        vm.startPrank(administrator);
        registry.registerOrganisation("auditors", "Auditors");
        registry.enrol(vm.addr(OPERATOR_KEY), "metering", registry.METER_OPERATOR());
        registry.enrol(vm.addr(AUDITOR_KEY), "auditors", registry.AUDITOR());
        registry.enrol(vm.addr(OWN_AUDITOR_KEY), "metering", registry.AUDITOR());
        vm.stopPrank();
        vm.startPrank(operator);
        registry.rotateKey(PLANT, vm.addr(PLANT_KEY));
        registry.rotateKey(POOL, vm.addr(POOL_KEY));
        vm.stopPrank();
        vm.prank(publisher);
        factors.createVintage(VINTAGE, 0, 0, 3000, 1000, _staticFactors(), _carrierFactors());
    }

    /// @dev Its writers are accounts of the test here, instead of Market, Settlement and Flexibility.
    function _deployClaims() internal virtual returns (IClaims) {
        Terms memory t = Terms({
            publisherOrg: "grid",
            gateClosureSeconds: 1 hours,
            clearingSeconds: 1 hours,
            imbalanceSeconds: 5 days,
            bondMicroEurPerKwh: 500_000,
            sensitivityWh: 100,
            toleranceBp: 200,
            toleranceWh: 50
        });
        address rules = deploy("MarketRules", abi.encode(registry, ledger, t));
        bytes memory writers = abi.encode(_account("market"), _account("settlement"), _account("flexibility"));
        return IClaims(deploy("Claims", bytes.concat(abi.encode(registry, ledger, rules), writers)));
    }

    function _staticFactors() internal pure virtual returns (StaticFactors memory) {
        return StaticFactors(2400, 2000, 350, 2300, 1900, 300);
    }

    function _carrierFactors() internal pure virtual returns (CarrierFactor[] memory list) {
        list = new CarrierFactor[](2);
        list[0] = CarrierFactor(1, 1190, 1190, 252, 500, 400, 100);
        list[1] = CarrierFactor(2, 900, 700, 150, 0, 0, 0);
    }

    // --- time --------------------------------------------------------------------------------------------------------

    /// @notice The moment at which the hour of the day has just closed.
    function _closeOf(uint32 day, uint256 hourOfDay) internal pure returns (uint256) {
        return uint256(day) * 1 days + (hourOfDay + 1) * 1 hours;
    }

    function _finalityOf(uint32 day) internal pure returns (uint256) {
        return (uint256(day) + 1) * 1 days + FINALITY;
    }

    // --- records -----------------------------------------------------------------------------------------------------

    function rec(uint8 status, uint256 supplyWh, uint256 drawWh) internal pure returns (bytes memory) {
        require(supplyWh < 2 ** 31 && drawWh < 2 ** 31, "record");
        return abi.encodePacked(
            uint32((uint256(status >> 1) << 31) | supplyWh), uint32((uint256(status & 1) << 31) | drawWh)
        );
    }

    function measured(uint256 supplyWh, uint256 drawWh) internal pure returns (bytes memory) {
        return rec(MEASURED, supplyWh, drawWh);
    }

    function privateSum(uint8 kind, uint16 memberCount, uint256 supplyWh, uint256 drawWh)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(kind, memberCount, uint32(supplyWh), uint32(drawWh));
    }

    function privateSection(uint8 hourOfDay, uint8 kinds, bytes memory sums) internal pure returns (bytes memory) {
        return abi.encodePacked(hourOfDay, keccak256("root"), kinds, sums);
    }

    // --- messages ----------------------------------------------------------------------------------------------------

    function batch(bytes32 gatewayId, uint32 day, uint8 sequence, uint8 replaces, bytes memory payload)
        internal
        pure
        returns (OpenBatch memory)
    {
        return OpenBatch(gatewayId, day, sequence, replaces, payload);
    }

    function sign(uint256 key, OpenBatch memory b) internal view returns (bytes memory) {
        return _signStruct(key, _structHash(b));
    }

    function sign(uint256 key, PrivateBatch memory b) internal view returns (bytes memory) {
        return _signStruct(
            key,
            keccak256(
                abi.encode(
                    keccak256(
                        "PrivateBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,uint16 changedMembers,bytes payload)"
                    ),
                    b.gatewayId,
                    b.day,
                    b.sequence,
                    b.replaces,
                    b.changedMembers,
                    keccak256(b.payload)
                )
            )
        );
    }

    function sign(uint256 key, Adjustment memory a) internal view returns (bytes memory) {
        return _signStruct(
            key,
            keccak256(
                abi.encode(
                    keccak256(
                        "Adjustment(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bool isPrivate,bytes32 reasonHash,uint16 changedMembers,bytes payload)"
                    ),
                    a.gatewayId,
                    a.day,
                    a.sequence,
                    a.replaces,
                    a.isPrivate,
                    a.reasonHash,
                    a.changedMembers,
                    keccak256(a.payload)
                )
            )
        );
    }

    function _structHash(OpenBatch memory b) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("OpenBatch(bytes32 gatewayId,uint32 day,uint8 sequence,uint8 replaces,bytes payload)"),
                b.gatewayId,
                b.day,
                b.sequence,
                b.replaces,
                keccak256(b.payload)
            )
        );
    }

    function _signStruct(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        return _signFor(key, structHash, block.chainid, address(ledger));
    }

    function _signFor(uint256 key, bytes32 structHash, uint256 chainId, address verifier)
        internal
        pure
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _digest(structHash, chainId, verifier));
        return abi.encodePacked(r, s, v);
    }

    function _digest(bytes32 structHash, uint256 chainId, address verifier) internal pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("PED Ledger"),
                keccak256("1"),
                chainId,
                verifier
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function record(uint256 key, OpenBatch memory b) internal {
        ledger.recordOpen(b, sign(key, b));
    }

    function correct(uint256 key, OpenBatch memory b, bytes memory oldPayload) internal {
        ledger.correctOpen(b, sign(key, b), oldPayload);
    }

    function record(uint256 key, PrivateBatch memory b) internal {
        ledger.recordPrivate(b, sign(key, b));
    }

    function adjust(Adjustment memory a, bytes memory oldPayload) internal {
        ledger.adjust(a, oldPayload, sign(OPERATOR_KEY, a), sign(AUDITOR_KEY, a));
    }

    // --- words -------------------------------------------------------------------------------------------------------

    function hourWord(uint32 day, uint256 hourOfDay) internal view returns (uint256) {
        return ledger.hourWords(HARBOUR, day)[hourOfDay];
    }

    function extraWord(uint32 day, uint256 hourOfDay) internal view returns (uint256) {
        (uint256[24] memory extras,,) = ledger.detailWords(HARBOUR, day);
        return extras[hourOfDay];
    }

    function lane(uint256 word, uint256 index) internal pure returns (uint256) {
        return (word >> (32 * index)) & 0xffffffff;
    }

    function count(uint256 word, uint256 place) internal pure returns (uint256) {
        return (word >> place) & 0xffff;
    }

    // --- many points -------------------------------------------------------------------------------------------------

    function manyPoints(string memory prefix, uint8[] memory kinds, uint256 howMany, uint32 nameplateW)
        internal
        pure
        returns (PointDeclaration[] memory list)
    {
        list = new PointDeclaration[](howMany);
        for (uint256 i = 0; i < howMany; ++i) {
            bytes32 id = bytes32(abi.encodePacked(prefix, vm.toString(i)));
            list[i] = point(id, kinds[i % kinds.length], nameplateW);
        }
    }

    // --- factors -----------------------------------------------------------------------------------------------------

    /// @notice The same six factors in all 24 hours.
    function dayFactors(uint16 averageTotal, uint16 marginalTotal) internal pure returns (bytes memory result) {
        bytes memory hour = abi.encodePacked(
            averageTotal, marginalTotal, averageTotal / 2, marginalTotal / 2, averageTotal / 8, marginalTotal / 8
        );
        for (uint256 i = 0; i < 24; ++i) {
            result = abi.encodePacked(result, hour);
        }
    }

    function publishFactors(uint32 day, bytes memory data) internal {
        vm.prank(publisher);
        factors.publishDay(VINTAGE, ZONE, day, data);
    }
}
