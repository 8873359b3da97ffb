// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BilateralTrade, Cut, Order } from "../types/Trade.sol";

/// @notice An applied offer and bids whose fills overlap its fill, in the order of the book's axis. The trade of offer and bid has the
/// identity keccak256(abi.encode(offerHash, bidHash)) and the overlap as its quantity.
struct Sale {
    Order offer;
    Order[] bids;
}

enum SettlementStatus {
    /// Nothing sold, or not settled yet.
    None,
    /// The shares stand and are being paid.
    Proven,
    Settled
}

/// @param round 1 for the settlement, 2, 3 ... for its follow-ups
/// @param soldWh T, all that the district sold in the hour
/// @param certifiedWh C of this round: certified net export less external certificates; 0 for an hour that is not complete
/// @param steps proven steps of this round
/// @param paid how many of them are paid
struct SellerHour {
    SettlementStatus status;
    uint16 round;
    uint64 soldWh;
    uint32 certifiedWh;
    uint32 steps;
    uint32 paid;
    Cut cut;
}

/// @title Settlement of trades against certified energy (domain.md §6)
/// @notice Per seller and hour, once, after the hour's day is final. `D_k = floor(T_k min(1, C/T))`, the remainder to the largest fractional
/// part (T_k C mod T), ties to the lowest trade identity. The seller gets floor(D_k p_k / 1000) of what the buyer paid, the buyer the
/// rest, and from the seller's bond floor((T_k - D_k) clamp(p_imbalance - p_k, floor(p_k / 10), beta) / 1000). What a trade was paid of an
/// order is ceil(end p / 1000) - ceil(begin p / 1000) for its place [begin, end) in the order's fill, and its part of the bond alike
/// with beta: the parts add up to what the order holds, to the last unit.
/// Trades are shown in one order: bilateral ones by hash rising, then sales by offer hash rising, each with its bids along the axis.
/// @dev An adjustment after finality changes C or a buyer's import: a follow-up round books the difference as money owed (IEscrow.owe).
/// Of a trade with attributes min(D_k, its part of the buyer's net import) moves; that part is floor(I end / B) - floor(I begin / B) for the
/// trade's place [begin, end) in all B Wh that the buyer bought with attributes in that hour, I its certified net import: for one trade
/// min(D, I), and never more than I over all of them, whoever settles first.
interface ISettlement {
    /// @param trades how many the step shows: with these numbers and the one order of trades anyone can show the same steps again
    event SettlementStep(
        bytes32 indexed sellerDistrictId,
        uint32 indexed hour,
        uint16 round,
        address indexed proposer,
        uint32 step,
        uint32 trades
    );
    event SettlementProven(
        bytes32 indexed sellerDistrictId, uint32 indexed hour, uint16 round, uint64 soldWh, uint32 certifiedWh
    );
    /// @notice A trade was settled (round 1): `deliveredWh` of `quantityWh`; the seller got `paid`, the buyer `refunded` of what it paid, and
    /// `compensation` out of the seller's bond.
    event TradeSettled(
        bytes32 indexed tradeId,
        bytes32 indexed sellerDistrictId,
        bytes32 indexed buyerDistrictId,
        uint32 hour,
        bool withAttributes,
        uint32 priceMicroEurPerKwh,
        uint32 quantityWh,
        uint32 deliveredWh,
        uint32 attributesWh,
        uint256 paid,
        uint256 refunded,
        uint256 compensation
    );
    /// @notice A follow-up changed a settled trade. `toSeller`: what the buyer owes the seller; negative: the seller owes the buyer.
    event TradeFollowedUp(
        bytes32 indexed tradeId,
        bytes32 indexed sellerDistrictId,
        bytes32 indexed buyerDistrictId,
        uint32 hour,
        uint16 round,
        uint32 deliveredWh,
        uint32 attributesWh,
        int256 toSeller
    );
    event HourSettled(bytes32 indexed sellerDistrictId, uint32 indexed hour, uint16 round);

    error NothingSold(bytes32 districtId, uint32 hour);
    error HourNotFinal(uint32 hour, uint256 finalFrom);
    error FillsIncomplete(uint32 hour);
    error AlreadySettled(bytes32 districtId, uint32 hour);
    error NotSettled(bytes32 districtId, uint32 hour);
    error NothingChanged(bytes32 districtId, uint32 hour);
    error ImbalanceUnknown(uint32 hour);
    error TradesNotSorted(bytes32 tradeId, bytes32 previous);
    error NotASale(bytes32 orderHash);
    error TradeUnknown(bytes32 tradeHash);
    error AxisGap(bytes32 offerHash, uint64 expectedWh, uint64 shownWh);
    error TradesMissing(uint256 shownWh, uint256 soldWh);
    error CutChanged(bytes32 expected);
    error WrongCut(uint256 chosen, uint256 expected);
    error WrongStep(bytes32 expected, bytes32 shown);
    /// @notice A step shows more trades than can be paid in one transaction.
    error StepSize(uint256 shown, uint256 most);
    /// @notice Escrow or Claims was deployed for another settlement.
    error NotNamed(address by, address named);

    /// @notice The next step of the caller's proof of the hour's shares; the step that completes T makes them stand.
    /// One without trades drops what the caller has shown so far.
    function proveShares(
        bytes32 sellerDistrictId,
        uint32 hour,
        Cut calldata cut,
        BilateralTrade[] calldata trades,
        Sale[] calldata sales
    ) external returns (bool stands);

    /// @notice Pays the next proven step, whose trades are shown again. Anyone may call.
    function payShares(bytes32 sellerDistrictId, uint32 hour, BilateralTrade[] calldata trades, Sale[] calldata sales)
        external;

    /// @notice Both for an hour whose trades fit into one transaction: settlement or, where adjustments changed something, follow-up.
    function settle(
        bytes32 sellerDistrictId,
        uint32 hour,
        Cut calldata cut,
        BilateralTrade[] calldata trades,
        Sale[] calldata sales
    ) external;

    function sellerHour(bytes32 sellerDistrictId, uint32 hour) external view returns (SellerHour memory);

    /// @notice Signed net export (import negative) of a final hour by the ledger, and whether the hour is complete: covered by measured
    /// records, not tainted, energy conserved within the market's tolerance. Reverts before the hour is final; settling also while a
    /// compromise of the seller's keys is not looked through (CertifiedHour.CompromisePending).
    function certifiedNetExport(bytes32 districtId, uint32 hour)
        external
        view
        returns (bool complete, int256 netExportWh);

    /// @notice Attributes that moved with a settled trade, Wh.
    function attributesMoved(bytes32 tradeId) external view returns (uint32);

    /// @notice The most trades that one step of a proof shows.
    function mostTradesPerStep() external view returns (uint256);

    /// @notice Whether nothing of the hour remains to be settled: nothing sold, or settled.
    function isSettled(bytes32 sellerDistrictId, uint32 hour) external view returns (bool);
}
