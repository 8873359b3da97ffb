// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { BilateralTrade, Book, Order, OrderState, Outcome } from "../types/Trade.sol";

/// @title Market: orders of districts and the clearing of books (domain.md §6)
/// @notice Orders are signed by a district's trading key and carried by anyone. A book is (hour, with or without attributes), numbered
/// `hour * 2 + (withAttributes ? 1 : 0)`. After gate closure anyone proposes the book's outcome; the contract checks that the orders
/// shown are exactly the live ones, strictly sorted, and recomputes price and fills. The first complete outcome wins; none by the
/// deadline releases everything.
/// @dev Money: an order holds ceil(quantity * limit / 1000) of a bid or ceil(quantity * bond rate / 1000) of an offer from the free money of
/// the district's owner. Applied, a bid keeps ceil(fill * p* / 1000) held, an offer ceil(fill * bond rate / 1000), until Settlement.
/// Sorted: bids by price falling, offers by price rising, both then by hash rising. The contract keeps of a live order what clearing
/// needs, so that orders are named by their hashes once they are recorded; the event has the whole order.
interface IMarket {
    event TradingKeySet(bytes32 indexed districtId, address indexed key, bool allowed);
    event OrderRecorded(
        bytes32 indexed orderHash, uint64 indexed book, bytes32 indexed districtId, Order order, bytes signature
    );
    /// @param by signer of the cancellation or caller; a replaced order is cancelled by the order that replaces it
    event OrderCancelled(bytes32 indexed orderHash, uint64 indexed book, address by);
    event TradeRegistered(
        bytes32 indexed tradeHash,
        bytes32 indexed sellerDistrictId,
        bytes32 indexed buyerDistrictId,
        BilateralTrade trade,
        bytes sellerSignature,
        bytes buyerSignature
    );
    /// @param step of that proposer, from 0
    event ClearingStep(uint64 indexed book, address indexed proposer, uint32 step, uint32 bids, uint32 offers);
    event BookCleared(uint64 indexed book, address indexed proposer, Outcome outcome);
    event OrderApplied(
        bytes32 indexed orderHash, uint64 indexed book, uint32 fillWh, uint64 startWh, uint64 boughtBeforeWh
    );
    event OrderReleased(bytes32 indexed orderHash, uint64 indexed book);
    event CallSkipped(uint256 indexed index, bytes reason);

    error NotDistrictOwner(address caller, bytes32 districtId);
    error WrongSigner(address recovered, bytes32 districtId);
    error OrderExpired(uint64 expiry);
    error OrderKnown(bytes32 orderHash);
    error OrderNotLive(bytes32 orderHash);
    error ReplacesOther(bytes32 orderHash, bytes32 replaces);
    error QuantityZero();
    error PriceAboveLimit(uint32 priceMicroEurPerKwh, uint256 limit);
    error HourTooFar(uint32 hour, uint32 latest);
    error GateClosed(uint32 hour, uint256 closedAt);
    error GateOpen(uint64 book, uint256 closesAt);
    /// @notice The owner has live orders on the other side of that book.
    error OwnOrdersOpposite(bytes32 organisationId, uint64 book);
    error SameOwner(bytes32 organisationId);
    error ClearingTooLate(uint64 book, uint256 deadline);
    error BookAlreadyCleared(uint64 book);
    error BookNotCleared(uint64 book);
    error BookNotVoid(uint64 book);
    error WrongBook(bytes32 orderHash, uint64 book);
    error NotSorted(bytes32 orderHash, bytes32 previous);
    error TooManyOrders(uint64 book, uint256 shown, uint256 live);
    /// @notice Not all live orders were shown to clear, which needs them in one call.
    error OrdersMissing(uint64 book, uint256 shown, uint256 live);
    /// @notice Another outcome than the one that this proposer's earlier steps were made with.
    error OutcomeChanged(bytes32 expected);
    error VolumeNotLargest(uint64 volumeWh);
    error VolumeTooLarge(uint64 volumeWh);
    error WrongPrice(uint32 proposed, uint32 expected);
    error WrongMargin(bool isBid, uint64 marginWh, uint64 restWh);
    error WrongCut(bool isBid, uint256 chosen, uint256 expected);
    error WrongStep(bytes32 expected, bytes32 shown);
    error UnknownCall(bytes4 selector);
    /// @notice A step of a book that has orders shows none, or more than can be applied in one transaction.
    error StepSize(uint256 shown, uint256 most);
    /// @notice Escrow or Claims were deployed for another market.
    error NotNamed(address by, address named);

    /// @notice Lets a key sign for the district, or no longer. Only a DISTRICT_OWNER account of the district's owner.
    function setTradingKey(bytes32 districtId, address key, bool allowed) external;

    function isTradingKey(bytes32 districtId, address key) external view returns (bool);

    /// @notice Records a signed order before gate closure, holds its money and, when it names one, cancels the order that it replaces.
    function placeOrder(Order calldata order, bytes calldata signature) external;

    /// @notice Cancels a live order before gate closure: with a trading key's signature of Cancellation(orderHash), or, with an empty one,
    /// called by a trading key or an owner's account.
    function cancelOrder(bytes32 orderHash, bytes calldata signature) external;

    /// @notice Registers a bilateral trade before gate closure and holds both sides' money.
    function registerTrade(BilateralTrade calldata trade, bytes calldata sellerSignature, bytes calldata buyerSignature)
        external;

    /// @notice Several encoded calls of the three above; a failing one is skipped with CallSkipped.
    function placeMany(bytes[] calldata calls) external;

    /// @notice The next step of the caller's proposal: verifies further orders, at least one unless the book has none and at most
    /// mostOrdersPerStep(), bids and offers together. The step that completes the book makes the outcome stand. There is exactly one
    /// right outcome of a book: of a cut's equivalents it names the last order that gets one Wh more.
    /// @return stands whether the outcome stands now
    function proposeOutcome(uint64 book_, Outcome calldata outcome, bytes32[] calldata bids, bytes32[] calldata offers)
        external
        returns (bool stands);

    /// @notice Forgets the steps of the caller's proposal, so that it can begin again, or with another outcome.
    function abandonProposal(uint64 book_) external;

    /// @notice Applies the next verified step of the outcome that stands, whose orders are shown again: fills them and gives back what
    /// they no longer hold. Anyone may call.
    function applyOutcome(uint64 book_, bytes32[] calldata bids, bytes32[] calldata offers) external;

    /// @notice Both for a book that fits into one transaction.
    function clear(uint64 book_, Outcome calldata outcome, bytes32[] calldata bids, bytes32[] calldata offers) external;

    /// @notice Gives back what an order of a void book held.
    function releaseOrder(bytes32 orderHash) external;

    function book(uint64 book_) external view returns (Book memory);
    /// @notice Price of the outcome that stands; 0 as well while none does. Cheaper than book().
    function priceMicroEurPerKwh(uint64 book_) external view returns (uint32);
    /// @notice Most orders of a verification step, bids and offers together.
    function mostOrdersPerStep() external view returns (uint256);
    function orderState(bytes32 orderHash) external view returns (OrderState memory);
    /// @notice Wh sold in the hour: fills of offers and bilateral trades.
    function soldWh(bytes32 districtId, uint32 hour) external view returns (uint256);
    /// @notice Wh bought with attributes in the hour.
    function boughtWithAttributesWh(bytes32 districtId, uint32 hour) external view returns (uint256);
    /// @return registered whether the trade is registered
    /// @return boughtBeforeWh as in OrderState
    function tradeState(bytes32 tradeHash) external view returns (bool registered, uint64 boughtBeforeWh);
    /// @notice Whether no fill of the hour can be added any more: both books are void, without orders, or applied whole.
    function fillsComplete(uint32 hour) external view returns (bool);
    function hashOrder(Order calldata order) external view returns (bytes32);
    function hashTrade(BilateralTrade calldata trade) external view returns (bytes32);
    function hashCancellation(bytes32 orderHash) external view returns (bytes32);
}
