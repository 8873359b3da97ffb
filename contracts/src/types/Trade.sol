// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What one district is ready to buy or sell in one UTC hour (domain.md §6). EIP-712, domain "PED Market", version "1"; its
/// hash (typed data digest) is the order's identity.
/// @param hour unix time / 3600
/// @param withAttributes which of the hour's two books
/// @param quantityWh more than 0
/// @param priceMicroEurPerKwh limit; at most ten times the bond rate
/// @param nonce makes two equal orders two
/// @param expiry unix seconds: the last second in which it can be recorded; once recorded it lives until it is cancelled or cleared
/// @param replaces hash of a live order of the same district and book that it takes the place of; 0 for none
struct Order {
    bytes32 districtId;
    uint32 hour;
    bool withAttributes;
    bool isBid;
    uint32 quantityWh;
    uint32 priceMicroEurPerKwh;
    uint64 nonce;
    uint64 expiry;
    bytes32 replaces;
}

/// @notice A trade that two districts agreed on, signed by both (EIP-712 as above); its hash is the trade's identity.
struct BilateralTrade {
    bytes32 sellerDistrictId;
    bytes32 buyerDistrictId;
    uint32 hour;
    bool withAttributes;
    uint32 quantityWh;
    uint32 priceMicroEurPerKwh;
    uint64 nonce;
    uint64 expiry;
}

/// @notice Who gets one unit more when shares are rounded down: those whose fraction is greater than `fraction`, or equal to it with an
/// identity not above `id`. Nobody: fraction = type(uint128).max.
struct Cut {
    uint128 fraction;
    bytes32 id;
}

/// @notice The outcome of a book as someone computed it; the contract recomputes all of it.
/// @param volumeWh Q*; 0: nothing trades
/// @param priceMicroEurPerKwh p*; 0 when nothing trades
/// @param bidCut who of the bids at p* gets one Wh more
/// @param offerCut who of the offers at p* gets one Wh more
/// @param bidMarginWh quantity of all bids at p*
/// @param offerMarginWh quantity of all offers at p*
/// @param bidRestWh what of Q* the bids at p* share
/// @param offerRestWh what of Q* the offers at p* share
struct Outcome {
    uint64 volumeWh;
    uint32 priceMicroEurPerKwh;
    uint64 bidMarginWh;
    uint64 offerMarginWh;
    uint64 bidRestWh;
    uint64 offerRestWh;
    Cut bidCut;
    Cut offerCut;
}

enum OrderStatus {
    None,
    Live,
    Cancelled,
    /// Its book is cleared and the order is applied: `fillWh` of it trade, perhaps 0.
    Applied,
    /// Its book was not cleared in time and what it held was given back.
    Released
}

/// @param startWh where its fill begins on the book's axis of quantity: bid and offer trade where their fills overlap
/// @param boughtBeforeWh bids with attributes: what the district had bought with attributes for that hour before this fill
struct OrderState {
    OrderStatus status;
    uint32 fillWh;
    uint64 startWh;
    uint64 boughtBeforeWh;
}

enum BookStatus {
    /// Orders can be recorded, replaced and cancelled.
    Open,
    /// The gate is closed; an outcome can be proposed.
    Frozen,
    /// The outcome stands; its orders are being applied.
    Cleared,
    /// Nobody proposed a valid outcome in time: every order can be released.
    Void
}

/// @param bids live orders, or, once the outcome stands, those that it is made of
/// @param offers as bids
/// @param steps verification steps of the outcome that stands
/// @param applied how many of them are applied
struct Book {
    BookStatus status;
    uint32 bids;
    uint32 offers;
    uint32 steps;
    uint32 applied;
    Outcome outcome;
}
