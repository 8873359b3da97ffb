// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { HourClaims, IClaims } from "./interfaces/IClaims.sol";
import { ILedger } from "./interfaces/ILedger.sol";
import { IMarketRules } from "./interfaces/IMarketRules.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { HourBalance } from "./libraries/HourBalance.sol";

/// @title Claims register, see IClaims
/// @dev Checked arithmetic on lanes of 32 bits: a writer that moves more than there is reverts.
contract Claims is IClaims {
    IRegistry public immutable registry;
    ILedger public immutable ledger;
    IMarketRules public immutable rules;
    /// @inheritdoc IClaims
    address public immutable market;
    /// @inheritdoc IClaims
    address public immutable settlement;
    /// @inheritdoc IClaims
    address public immutable flexibility;
    bytes32 private immutable DISTRICT_OWNER;

    /// @dev One slot.
    struct DayAttributes {
        uint224 openWh;
        uint24 hourBits;
    }

    mapping(bytes32 districtId => mapping(uint256 hour => HourClaims)) private hours_;
    mapping(bytes32 districtId => mapping(uint256 day => DayAttributes)) private days_;
    mapping(bytes32 districtId => uint32[]) private changedDays_;

    constructor(
        IRegistry registry_,
        ILedger ledger_,
        IMarketRules rules_,
        address market_,
        address settlement_,
        address flexibility_
    ) {
        registry = registry_;
        ledger = ledger_;
        rules = rules_;
        market = market_;
        settlement = settlement_;
        flexibility = flexibility_;
        DISTRICT_OWNER = registry_.DISTRICT_OWNER();
    }

    modifier onlyBy(address writer) {
        if (msg.sender != writer) revert NotWriter(msg.sender);
        _;
    }

    // --- writers -----------------------------------------------------------------------------------------------------

    /// @inheritdoc IClaims
    function declareExternal(bytes32 districtId, uint32 hour, uint32 energyWh, bytes32 evidenceHash) external {
        if (
            registry.organisationOf(msg.sender) != registry.district(districtId).ownerOrg
                || !registry.hasRole(DISTRICT_OWNER, msg.sender)
        ) revert NotOwner(msg.sender, districtId);
        uint256 closedAt = rules.closesAt(hour);
        if (block.timestamp >= closedAt) revert GateClosed(hour, closedAt);
        hours_[districtId][hour].externalWh = energyWh;
        emit ExternalDeclared(districtId, hour, energyWh, evidenceHash);
    }

    /// @inheritdoc IClaims
    function openAttributes(bytes32 districtId, uint32 hour, uint256 quantityWh) external onlyBy(market) {
        days_[districtId][hour / 24].openWh += uint224(quantityWh);
    }

    /// @inheritdoc IClaims
    function closeAttributes(bytes32 districtId, uint32 hour, uint256 quantityWh) external {
        if (msg.sender != market && msg.sender != settlement) revert NotWriter(msg.sender);
        days_[districtId][hour / 24].openWh -= uint224(quantityWh);
    }

    /// @inheritdoc IClaims
    function bookDelivery(bytes32 districtId, uint32 hour, uint32 deliveredWh) external onlyBy(settlement) {
        HourClaims storage entry = hours_[districtId][hour];
        uint256 exportWh = _netExportWh(districtId, hour);
        uint256 externalWh = entry.externalWh;
        uint256 claimedWh = (externalWh < exportWh ? externalWh : exportWh) + deliveredWh;
        if (claimedWh > exportWh) revert ExceedsExport(districtId, hour, claimedWh, exportWh);
        entry.deliveredWh = deliveredWh;
        emit DeliveryBooked(districtId, hour, deliveredWh);
    }

    function _netExportWh(bytes32 districtId, uint32 hour) private view returns (uint256) {
        uint32[] memory one = new uint32[](1);
        one[0] = hour;
        (uint256[] memory words,) = ledger.wordsOf(districtId, one);
        (int256 exportWh,,) = HourBalance.flows(words[0], false);
        return uint256(exportWh);
    }

    /// @inheritdoc IClaims
    function moveAttributes(bytes32 sellerId, bytes32 buyerId, uint32 hour, int64 energyWh)
        external
        onlyBy(settlement)
    {
        HourClaims storage seller = hours_[sellerId][hour];
        HourClaims storage buyer = hours_[buyerId][hour];
        seller.attributesOutWh = _moved(seller.attributesOutWh, energyWh);
        buyer.attributesInWh = _moved(buyer.attributesInWh, energyWh);
        _noteMove(sellerId, hour, seller);
        _noteMove(buyerId, hour, buyer);
    }

    function _moved(uint32 lane, int64 energyWh) private pure returns (uint32) {
        return energyWh < 0 ? lane - uint32(uint64(-energyWh)) : lane + uint32(uint64(energyWh));
    }

    /// @dev While something of the day is open no assessment has finalised it: only later a move is a change.
    function _noteMove(bytes32 districtId, uint32 hour, HourClaims storage entry) private {
        DayAttributes storage day = days_[districtId][hour / 24];
        uint24 hourBit = uint24(1 << (hour % 24));
        if (day.hourBits & hourBit == 0) day.hourBits |= hourBit;
        if (day.openWh == 0) changedDays_[districtId].push(hour / 24);
        emit AttributesBooked(districtId, hour, entry.attributesOutWh, entry.attributesInWh);
    }

    /// @inheritdoc IClaims
    function bookResponse(bytes32 districtId, uint32 hour, uint32 responseWh) external onlyBy(flexibility) {
        hours_[districtId][hour].responseWh = responseWh;
        emit ResponseBooked(districtId, hour, responseWh);
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc IClaims
    function hourClaims(bytes32 districtId, uint32 hour) external view returns (HourClaims memory) {
        return hours_[districtId][hour];
    }

    /// @inheritdoc IClaims
    function dayAttributes(bytes32 districtId, uint32 day) external view returns (uint256 openWh, uint24 hourBits) {
        DayAttributes storage entry = days_[districtId][day];
        return (entry.openWh, entry.hourBits);
    }

    /// @inheritdoc IClaims
    function hourWords(bytes32 districtId, uint32 day) external view returns (uint256[24] memory words) {
        for (uint256 i = 0; i < 24; ++i) {
            HourClaims memory entry = hours_[districtId][uint256(day) * 24 + i];
            words[i] = uint256(entry.externalWh) | (uint256(entry.deliveredWh) << 32)
                | (uint256(entry.attributesOutWh) << 64) | (uint256(entry.attributesInWh) << 96)
                | (uint256(entry.responseWh) << 128);
        }
    }

    /// @inheritdoc IClaims
    function changeCount(bytes32 districtId) external view returns (uint256) {
        return changedDays_[districtId].length;
    }

    /// @inheritdoc IClaims
    function changeDay(bytes32 districtId, uint256 index) external view returns (uint32) {
        return changedDays_[districtId][index];
    }
}
