// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import { IClaims } from "./interfaces/IClaims.sol";
import { IEscrow } from "./interfaces/IEscrow.sol";
import { IMarket } from "./interfaces/IMarket.sol";
import { IMarketRules, Terms } from "./interfaces/IMarketRules.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { Money } from "./libraries/Money.sol";
import { OrderWord } from "./libraries/OrderWord.sol";
import { ProRata } from "./libraries/ProRata.sol";
import { BilateralTrade, Book, BookStatus, Cut, Order, OrderState, OrderStatus, Outcome } from "./types/Trade.sol";

/// @title Market, see IMarket
/// @dev Sums of Wh fit into 64 bits: a book counts its live orders of a side in 32 bits, and an order has at most 2**32 - 1 Wh.
/// Escrow and Claims are fixed at deployment and call nobody when the market calls them, so that nothing can be entered again
/// between a call and what is written after it.
contract Market is IMarket, EIP712 {
    using OrderWord for uint256;

    /// @dev An order or a trade is at most so far ahead.
    uint256 private constant LONGEST_HOURS_AHEAD = 400 * 24;
    uint256 private constant MOST_BONDS = 10;
    /// @dev Applying an order costs up to 50,000 gas, so that every verified step can be applied in one transaction.
    uint256 private constant MOST_ORDERS_PER_STEP = 200;
    /// @dev Live orders of an owner in a book: bids below, offers above.
    uint256 private constant OFFERS = 128;
    uint256 private constant REGISTERED = 1 << 255;

    bytes32 private constant ORDER_TYPEHASH = keccak256(
        "Order(bytes32 districtId,uint32 hour,bool withAttributes,bool isBid,uint32 quantityWh,uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry,bytes32 replaces)"
    );
    bytes32 private constant CANCELLATION_TYPEHASH = keccak256("Cancellation(bytes32 orderHash)");
    bytes32 private constant TRADE_TYPEHASH = keccak256(
        "BilateralTrade(bytes32 sellerDistrictId,bytes32 buyerDistrictId,uint32 hour,bool withAttributes,uint32 quantityWh,uint32 priceMicroEurPerKwh,uint64 nonce,uint64 expiry)"
    );

    IRegistry public immutable registry;
    IMarketRules public immutable rules;
    IEscrow public immutable escrow;
    IClaims public immutable claims;
    bytes32 private immutable DISTRICT_OWNER;
    /// @dev The rules never change.
    uint256 private immutable GATE_CLOSURE_SECONDS;
    uint256 private immutable CLEARING_SECONDS;
    uint256 private immutable BOND_MICRO_EUR_PER_KWH;

    /// @dev A district that ever had a trading key; orders name it by its number 1, 2, ... Its owner never changes.
    struct Trader {
        bytes32 districtId;
        bytes32 ownerOrg;
    }

    /// @dev Wh of a district in an hour.
    struct Traded {
        uint128 soldWh;
        uint128 boughtWithAttributesWh;
    }

    /// @dev bidWh and offerWh: how far the applied steps reach on the axis.
    struct Record {
        uint32 bids;
        uint32 offers;
        uint32 steps;
        uint32 applied;
        uint32 priceMicroEurPerKwh;
        bool isCleared;
        uint64 bidWh;
        uint64 offerWh;
        address proposer;
    }

    /// @dev What a proposer's steps showed of a side.
    /// @param last hash of the last order
    /// @param priceAtVolume b(Q*) or s(Q*), if quantityWh reaches it
    /// @param priceBeyond b(Q* + 1) or s(Q* + 1), if quantityWh reaches it
    /// @param betterWh of orders strictly better than p*
    /// @param marginWh of orders at p*
    /// @param floorsWh of the shares of these, rounded down
    /// @param chosen how many of these get one Wh more
    /// @param named the cut's last one was shown
    struct Side {
        bytes32 last;
        uint32 count;
        uint32 lastPrice;
        uint64 quantityWh;
        uint32 priceAtVolume;
        uint32 priceBeyond;
        uint64 betterWh;
        uint64 marginWh;
        uint64 floorsWh;
        uint32 chosen;
        bool named;
    }

    /// @dev What an outcome says of a side (see Outcome).
    struct Claim {
        bool isBid;
        uint256 volumeWh;
        uint256 price;
        uint256 marginWh;
        uint256 restWh;
        Cut cut;
    }

    struct Session {
        bytes32 outcomeHash;
        uint32 steps;
        Side bids;
        Side offers;
    }

    uint32 private traderCount_;
    mapping(uint256 number => Trader) private traders_;
    mapping(bytes32 districtId => uint32 number) private numbers_;
    /// @dev The district's number for each of its keys.
    mapping(bytes32 districtId => mapping(address key => uint32 number)) private keys_;
    mapping(bytes32 orderHash => uint256) private orders_;
    /// @dev REGISTERED and what was bought before.
    mapping(bytes32 tradeHash => uint256) private trades_;
    mapping(uint256 book => mapping(bytes32 ownerOrg => uint256)) private sides_;
    mapping(uint256 book => Record) private records_;
    mapping(uint256 book => Outcome) private outcomes_;
    mapping(uint256 book => mapping(address proposer => Session)) private sessions_;
    mapping(uint256 book => mapping(address proposer => mapping(uint256 step => bytes32))) private stepHashes_;
    /// @dev Key number * 2**32 + hour.
    mapping(uint256 districtHour => Traded) private traded_;

    constructor(IRegistry registry_, IMarketRules rules_, IEscrow escrow_, IClaims claims_) EIP712("PED Market", "1") {
        if (escrow_.market() != address(this)) revert NotNamed(address(escrow_), escrow_.market());
        if (claims_.market() != address(this)) revert NotNamed(address(claims_), claims_.market());
        registry = registry_;
        rules = rules_;
        escrow = escrow_;
        claims = claims_;
        DISTRICT_OWNER = registry_.DISTRICT_OWNER();
        Terms memory terms = rules_.terms();
        GATE_CLOSURE_SECONDS = terms.gateClosureSeconds;
        CLEARING_SECONDS = terms.clearingSeconds;
        BOND_MICRO_EUR_PER_KWH = terms.bondMicroEurPerKwh;
    }

    // --- keys --------------------------------------------------------------------------------------------------------

    /// @inheritdoc IMarket
    function setTradingKey(bytes32 districtId, address key, bool allowed) external {
        bytes32 ownerOrg = registry.district(districtId).ownerOrg;
        if (!_isOwner(ownerOrg, msg.sender)) revert NotDistrictOwner(msg.sender, districtId);
        // A signature that is none recovers to zero.
        if (key == address(0)) revert WrongSigner(key, districtId);
        uint32 number = numbers_[districtId];
        if (number == 0) {
            number = ++traderCount_;
            numbers_[districtId] = number;
            traders_[number] = Trader(districtId, ownerOrg);
        }
        keys_[districtId][key] = allowed ? number : 0;
        emit TradingKeySet(districtId, key, allowed);
    }

    // --- until gate closure ------------------------------------------------------------------------------------------

    /// @inheritdoc IMarket
    // slither-disable-next-line reentrancy-no-eth
    function placeOrder(Order calldata order, bytes calldata signature) external {
        bytes32 orderHash = hashOrder(order);
        if (orders_[orderHash] != 0) revert OrderKnown(orderHash);
        _requireTradable(order.hour, order.quantityWh, order.priceMicroEurPerKwh, order.expiry);
        (address signer, uint256 number) = _requireKey(order.districtId, orderHash, signature);
        uint64 book_ = _bookOf(order.hour, order.withAttributes);
        bytes32 ownerOrg = traders_[number].ownerOrg;

        if (order.replaces != 0) {
            uint256 replaced = _liveWord(order.replaces);
            if (replaced.district() != number || replaced.bookOf() != book_) {
                revert ReplacesOther(orderHash, order.replaces);
            }
            _withdraw(order.replaces, replaced, order.districtId, ownerOrg, OrderStatus.Cancelled);
            emit OrderCancelled(order.replaces, book_, signer);
        }
        _count(book_, ownerOrg, order.isBid);
        uint256 word = OrderWord.live(book_, order.isBid, number, order.quantityWh, uint256(order.priceMicroEurPerKwh));
        orders_[orderHash] = word;
        escrow.hold(ownerOrg, _needed(word));
        if (order.withAttributes) claims.openAttributes(order.districtId, order.hour, order.quantityWh);
        emit OrderRecorded(orderHash, book_, order.districtId, order, signature);
    }

    /// @inheritdoc IMarket
    function cancelOrder(bytes32 orderHash, bytes calldata signature) external {
        uint256 word = _liveWord(orderHash);
        uint64 book_ = word.bookOf();
        _requireGateOpen(book_ / 2);
        Trader memory trader = traders_[word.district()];
        address by = msg.sender;
        if (signature.length == 0) {
            if (keys_[trader.districtId][by] == 0 && !_isOwner(trader.ownerOrg, by)) {
                revert NotDistrictOwner(by, trader.districtId);
            }
        } else {
            (by,) = _requireKey(trader.districtId, hashCancellation(orderHash), signature);
        }
        _withdraw(orderHash, word, trader.districtId, trader.ownerOrg, OrderStatus.Cancelled);
        emit OrderCancelled(orderHash, book_, by);
    }

    /// @inheritdoc IMarket
    function registerTrade(BilateralTrade calldata trade, bytes calldata sellerSignature, bytes calldata buyerSignature)
        external
    {
        bytes32 tradeHash = hashTrade(trade);
        if (trades_[tradeHash] != 0) revert OrderKnown(tradeHash);
        _requireTradable(trade.hour, trade.quantityWh, trade.priceMicroEurPerKwh, trade.expiry);
        (, uint256 seller) = _requireKey(trade.sellerDistrictId, tradeHash, sellerSignature);
        (, uint256 buyer) = _requireKey(trade.buyerDistrictId, tradeHash, buyerSignature);
        bytes32 sellerOrg = traders_[seller].ownerOrg;
        bytes32 buyerOrg = traders_[buyer].ownerOrg;
        if (sellerOrg == buyerOrg) revert SameOwner(sellerOrg);

        _addSold(seller, trade.hour, trade.quantityWh);
        uint256 boughtBeforeWh = trade.withAttributes ? _addBought(buyer, trade.hour, trade.quantityWh) : 0;
        trades_[tradeHash] = REGISTERED | boughtBeforeWh;
        escrow.hold(sellerOrg, Money.up(trade.quantityWh, BOND_MICRO_EUR_PER_KWH));
        escrow.hold(buyerOrg, Money.up(trade.quantityWh, trade.priceMicroEurPerKwh));
        if (trade.withAttributes) {
            claims.openAttributes(trade.sellerDistrictId, trade.hour, trade.quantityWh);
            claims.openAttributes(trade.buyerDistrictId, trade.hour, trade.quantityWh);
        }
        emit TradeRegistered(
            tradeHash, trade.sellerDistrictId, trade.buyerDistrictId, trade, sellerSignature, buyerSignature
        );
    }

    /// @inheritdoc IMarket
    /// @dev A call of this contract to itself: signatures matter, not the caller. A failing call leaves nothing behind.
    function placeMany(bytes[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes4 selector = bytes4(calls[i]);
            if (
                selector != this.placeOrder.selector && selector != this.cancelOrder.selector
                    && selector != this.registerTrade.selector
            ) {
                emit CallSkipped(i, abi.encodeWithSelector(UnknownCall.selector, selector));
                continue;
            }
            (bool accepted, bytes memory reason) = address(this).call(calls[i]);
            if (!accepted) emit CallSkipped(i, reason);
        }
    }

    // --- clearing ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IMarket
    function proposeOutcome(uint64 book_, Outcome calldata outcome, bytes32[] calldata bids, bytes32[] calldata offers)
        external
        returns (bool stands)
    {
        uint256 step;
        (stands, step) = _verifyStep(book_, outcome, bids, offers);
        stepHashes_[book_][msg.sender][step] = _stepHash(bids, offers);
    }

    /// @inheritdoc IMarket
    function abandonProposal(uint64 book_) external {
        delete sessions_[book_][msg.sender];
    }

    /// @inheritdoc IMarket
    function applyOutcome(uint64 book_, bytes32[] calldata bids, bytes32[] calldata offers) external {
        Record storage record = records_[book_];
        if (!record.isCleared) revert BookNotCleared(book_);
        uint256 step = record.applied;
        bytes32 shown = _stepHash(bids, offers);
        bytes32 expected = step < record.steps ? stepHashes_[book_][record.proposer][step] : bytes32(0);
        if (shown != expected) revert WrongStep(expected, shown);
        _applyStep(book_, outcomes_[book_], bids, offers);
    }

    /// @inheritdoc IMarket
    function clear(uint64 book_, Outcome calldata outcome, bytes32[] calldata bids, bytes32[] calldata offers)
        external
    {
        (bool stands, uint256 step) = _verifyStep(book_, outcome, bids, offers);
        if (!stands || step != 0) {
            Record storage record = records_[book_];
            revert OrdersMissing(book_, bids.length + offers.length, uint256(record.bids) + record.offers);
        }
        _applyStep(book_, outcome, bids, offers);
    }

    /// @inheritdoc IMarket
    function releaseOrder(bytes32 orderHash) external {
        uint256 word = _liveWord(orderHash);
        uint64 book_ = word.bookOf();
        if (_statusOf(book_, records_[book_].isCleared) != BookStatus.Void) revert BookNotVoid(book_);
        Trader memory trader = traders_[word.district()];
        _withdraw(orderHash, word, trader.districtId, trader.ownerOrg, OrderStatus.Released);
        emit OrderReleased(orderHash, book_);
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc IMarket
    function isTradingKey(bytes32 districtId, address key) external view returns (bool) {
        return keys_[districtId][key] != 0;
    }

    /// @inheritdoc IMarket
    function book(uint64 book_) external view returns (Book memory) {
        Record storage record = records_[book_];
        return Book({
            status: _statusOf(book_, record.isCleared),
            bids: record.bids,
            offers: record.offers,
            steps: record.steps,
            applied: record.applied,
            outcome: outcomes_[book_]
        });
    }

    /// @inheritdoc IMarket
    function priceMicroEurPerKwh(uint64 book_) external view returns (uint32) {
        return records_[book_].priceMicroEurPerKwh;
    }

    /// @inheritdoc IMarket
    function mostOrdersPerStep() external pure returns (uint256) {
        return MOST_ORDERS_PER_STEP;
    }

    /// @inheritdoc IMarket
    function orderState(bytes32 orderHash) external view returns (OrderState memory) {
        return orders_[orderHash].state();
    }

    /// @inheritdoc IMarket
    function tradeState(bytes32 tradeHash) external view returns (bool registered, uint64 boughtBeforeWh) {
        uint256 word = trades_[tradeHash];
        return (word != 0, uint64(word));
    }

    /// @inheritdoc IMarket
    function soldWh(bytes32 districtId, uint32 hour) external view returns (uint256) {
        return _traded(numbers_[districtId], hour).soldWh;
    }

    /// @inheritdoc IMarket
    function boughtWithAttributesWh(bytes32 districtId, uint32 hour) external view returns (uint256) {
        return _traded(numbers_[districtId], hour).boughtWithAttributesWh;
    }

    /// @inheritdoc IMarket
    function fillsComplete(uint32 hour) external view returns (bool) {
        if (block.timestamp < _closesAt(hour)) return false;
        for (uint256 book_ = uint256(hour) * 2; book_ <= uint256(hour) * 2 + 1; ++book_) {
            Record storage record = records_[book_];
            bool complete = record.isCleared
                ? record.applied == record.steps
                : block.timestamp >= _closesAt(hour) + CLEARING_SECONDS || record.bids + record.offers == 0;
            if (!complete) return false;
        }
        return true;
    }

    /// @inheritdoc IMarket
    function hashOrder(Order calldata order) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(ORDER_TYPEHASH, order)));
    }

    /// @inheritdoc IMarket
    function hashTrade(BilateralTrade calldata trade) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(TRADE_TYPEHASH, trade)));
    }

    /// @inheritdoc IMarket
    function hashCancellation(bytes32 orderHash) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(CANCELLATION_TYPEHASH, orderHash)));
    }

    // --- orders ------------------------------------------------------------------------------------------------------

    function _requireTradable(uint32 hour, uint32 quantityWh, uint32 price, uint64 expiry) private view {
        if (block.timestamp > expiry) revert OrderExpired(expiry);
        if (quantityWh == 0) revert QuantityZero();
        uint256 limit = MOST_BONDS * BOND_MICRO_EUR_PER_KWH;
        if (price > limit) revert PriceAboveLimit(price, limit);
        uint256 latest = block.timestamp / 1 hours + LONGEST_HOURS_AHEAD;
        if (hour > latest) revert HourTooFar(hour, uint32(latest));
        _requireGateOpen(hour);
    }

    function _requireGateOpen(uint256 hour) private view {
        uint256 closedAt = _closesAt(hour);
        if (block.timestamp >= closedAt) revert GateClosed(uint32(hour), closedAt);
    }

    /// @dev Counts an order to its book and its owner, who has none on the other side of the book.
    function _count(uint64 book_, bytes32 ownerOrg, bool isBid) private {
        uint256 side = sides_[book_][ownerOrg];
        if ((isBid ? side >> OFFERS : uint128(side)) != 0) revert OwnOrdersOpposite(ownerOrg, book_);
        sides_[book_][ownerOrg] = side + (isBid ? 1 : 1 << OFFERS);
        if (isBid) ++records_[book_].bids;
        else ++records_[book_].offers;
    }

    /// @dev Takes a live order out of its book and gives back what it held.
    function _withdraw(bytes32 orderHash, uint256 word, bytes32 districtId, bytes32 ownerOrg, OrderStatus status)
        private
    {
        uint64 book_ = word.bookOf();
        bool isBid = word.isBid();
        orders_[orderHash] = uint256(status);
        sides_[book_][ownerOrg] -= isBid ? 1 : 1 << OFFERS;
        if (isBid) --records_[book_].bids;
        else --records_[book_].offers;
        escrow.unhold(ownerOrg, _needed(word));
        _closeAttributes(book_, districtId, word.quantityWh());
    }

    function _liveWord(bytes32 orderHash) private view returns (uint256 word) {
        word = orders_[orderHash];
        if (word.status() != OrderStatus.Live) revert OrderNotLive(orderHash);
    }

    /// @return what a live order holds
    function _needed(uint256 word) private view returns (uint256) {
        return Money.up(word.quantityWh(), word.isBid() ? word.priceMicroEurPerKwh() : BOND_MICRO_EUR_PER_KWH);
    }

    function _closeAttributes(uint64 book_, bytes32 districtId, uint256 quantityWh) private {
        if (book_ % 2 == 1 && quantityWh != 0) claims.closeAttributes(districtId, uint32(book_ / 2), quantityWh);
    }

    function _addSold(uint256 number, uint256 hour, uint256 quantityWh) private {
        _traded(number, hour).soldWh += uint128(quantityWh);
    }

    /// @return beforeWh what was bought before
    function _addBought(uint256 number, uint256 hour, uint256 quantityWh) private returns (uint256 beforeWh) {
        Traded storage traded = _traded(number, hour);
        beforeWh = traded.boughtWithAttributesWh;
        traded.boughtWithAttributesWh = uint128(beforeWh + quantityWh);
    }

    function _traded(uint256 number, uint256 hour) private view returns (Traded storage) {
        return traded_[(number << 32) | hour];
    }

    // --- verification ------------------------------------------------------------------------------------------------

    /// @return stands whether the outcome stands now
    /// @return step number of the step, from 0
    function _verifyStep(uint64 book_, Outcome calldata outcome, bytes32[] calldata bids, bytes32[] calldata offers)
        private
        returns (bool stands, uint32 step)
    {
        Record storage record = records_[book_];
        BookStatus status = _statusOf(book_, record.isCleared);
        if (status == BookStatus.Open) revert GateOpen(book_, _closesAt(book_ / 2));
        if (status == BookStatus.Cleared) revert BookAlreadyCleared(book_);
        if (status == BookStatus.Void) revert ClearingTooLate(book_, _closesAt(book_ / 2) + CLEARING_SECONDS);
        (uint32 liveBids, uint32 liveOffers) = (record.bids, record.offers);
        uint256 shown = bids.length + offers.length;
        if (shown > MOST_ORDERS_PER_STEP || (shown == 0 && liveBids + liveOffers != 0)) {
            revert StepSize(shown, MOST_ORDERS_PER_STEP);
        }

        Session storage stored = sessions_[book_][msg.sender];
        Session memory session;
        step = stored.steps;
        bytes32 outcomeHash = keccak256(abi.encode(outcome));
        if (step != 0) {
            session = stored;
            if (session.outcomeHash != outcomeHash) revert OutcomeChanged(session.outcomeHash);
        }
        _verifySide(book_, _claimOf(outcome, true), bids, session.bids);
        _verifySide(book_, _claimOf(outcome, false), offers, session.offers);
        if (session.bids.count > liveBids) revert TooManyOrders(book_, session.bids.count, liveBids);
        if (session.offers.count > liveOffers) revert TooManyOrders(book_, session.offers.count, liveOffers);
        emit ClearingStep(book_, msg.sender, step, uint32(bids.length), uint32(offers.length));

        stands = session.bids.count == liveBids && session.offers.count == liveOffers;
        if (!stands) {
            (session.outcomeHash, session.steps) = (outcomeHash, step + 1);
            sessions_[book_][msg.sender] = session;
            return (false, step);
        }
        _requireRight(outcome, session.bids, session.offers);
        record.isCleared = true;
        record.steps = step + 1;
        record.priceMicroEurPerKwh = outcome.priceMicroEurPerKwh;
        record.proposer = msg.sender;
        outcomes_[book_] = outcome;
        emit BookCleared(book_, msg.sender, outcome);
    }

    /// @dev Follows the curve of one side through further orders. Sums cannot overflow: what is shown is live, and shown once.
    function _verifySide(uint64 book_, Claim memory claim, bytes32[] calldata hashes, Side memory side) private view {
        uint256 place = OrderWord.place(book_, claim.isBid);
        for (uint256 i = 0; i < hashes.length; ++i) {
            bytes32 orderHash = hashes[i];
            uint256 word = orders_[orderHash];
            if (!word.isAt(place)) {
                if (word.status() != OrderStatus.Live) revert OrderNotLive(orderHash);
                revert WrongBook(orderHash, book_);
            }
            _verifyOrder(claim, side, orderHash, word.priceMicroEurPerKwh(), word.quantityWh());
        }
    }

    function _verifyOrder(Claim memory claim, Side memory side, bytes32 orderHash, uint32 price, uint256 quantityWh)
        private
        pure
    {
        bool isBid = claim.isBid;
        if (side.count != 0) {
            bool follows = price == side.lastPrice ? orderHash > side.last : isBid == (price < side.lastPrice);
            if (!follows) revert NotSorted(orderHash, side.last);
        }
        unchecked {
            uint256 volumeWh = claim.volumeWh;
            uint256 beforeWh = side.quantityWh;
            uint256 afterWh = beforeWh + quantityWh;
            (side.last, side.lastPrice, side.quantityWh) = (orderHash, price, uint64(afterWh));
            ++side.count;
            if (beforeWh < volumeWh && volumeWh <= afterWh) side.priceAtVolume = price;
            if (beforeWh <= volumeWh && volumeWh < afterWh) side.priceBeyond = price;
            if (volumeWh == 0) return;
            if (price != claim.price) {
                if (isBid == (price > claim.price)) side.betterWh += uint64(quantityWh);
                return;
            }
            side.marginWh += uint64(quantityWh);
            // A margin that was claimed wrong is found in the end.
            if (claim.marginWh == 0) return;
            (uint256 floorWh, uint256 fraction) = ProRata.share(quantityWh, claim.restWh, claim.marginWh);
            side.floorsWh += uint64(floorWh);
            if (ProRata.isChosen(claim.cut, fraction, orderHash)) {
                ++side.chosen;
                if (ProRata.isLast(claim.cut, fraction, orderHash)) side.named = true;
            }
        }
    }

    function _claimOf(Outcome memory outcome, bool isBid) private pure returns (Claim memory) {
        return Claim({
            isBid: isBid,
            volumeWh: outcome.volumeWh,
            price: outcome.priceMicroEurPerKwh,
            marginWh: isBid ? outcome.bidMarginWh : outcome.offerMarginWh,
            restWh: isBid ? outcome.bidRestWh : outcome.offerRestWh,
            cut: isBid ? outcome.bidCut : outcome.offerCut
        });
    }

    /// @dev All orders were shown. b falls and s rises, so that Q* is the largest q with b(q) >= s(q) exactly if that holds for Q* and not
    /// for Q* + 1. Of the first Q* Wh of a side none is worse than p*, and every better one is among them: so the rest that the margin
    /// shares is not negative, and not more than the margin.
    function _requireRight(Outcome memory outcome, Side memory bids, Side memory offers) private pure {
        uint64 volumeWh = outcome.volumeWh;
        if (volumeWh > bids.quantityWh || volumeWh > offers.quantityWh) revert VolumeTooLarge(volumeWh);
        uint32 expected = 0;
        bool moreBids = bids.quantityWh > volumeWh;
        bool moreOffers = offers.quantityWh > volumeWh;
        if (volumeWh != 0) {
            (uint256 low, uint256 high) = (offers.priceAtVolume, bids.priceAtVolume);
            if (high < low) revert VolumeTooLarge(volumeWh);
            if (moreBids && bids.priceBeyond > low) low = bids.priceBeyond;
            if (moreOffers && offers.priceBeyond < high) high = offers.priceBeyond;
            expected = uint32((low + high) / 2);
        }
        if (moreBids && moreOffers && bids.priceBeyond >= offers.priceBeyond) revert VolumeNotLargest(volumeWh);
        uint32 proposed = outcome.priceMicroEurPerKwh;
        if (proposed != expected) revert WrongPrice(proposed, expected);
        _requireShares(_claimOf(outcome, true), bids);
        _requireShares(_claimOf(outcome, false), offers);
    }

    function _requireShares(Claim memory claim, Side memory side) private pure {
        uint256 restWh = claim.volumeWh - side.betterWh;
        if (claim.marginWh != side.marginWh || claim.restWh != restWh) {
            revert WrongMargin(claim.isBid, side.marginWh, uint64(restWh));
        }
        uint256 left = restWh - side.floorsWh;
        if (!ProRata.isRight(claim.cut, side.chosen, side.named, left)) {
            revert WrongCut(claim.isBid, side.chosen, left);
        }
    }

    // --- application -------------------------------------------------------------------------------------------------

    function _stepHash(bytes32[] calldata bids, bytes32[] calldata offers) private pure returns (bytes32) {
        return keccak256(abi.encode(bids, offers));
    }

    /// @dev The step was verified, and since then nothing could happen to its orders.
    // slither-disable-next-line reentrancy-no-eth
    function _applyStep(uint64 book_, Outcome memory outcome, bytes32[] calldata bids, bytes32[] calldata offers)
        private
    {
        Record storage record = records_[book_];
        ++record.applied;
        record.bidWh = _applySide(book_, _claimOf(outcome, true), bids, record.bidWh);
        record.offerWh = _applySide(book_, _claimOf(outcome, false), offers, record.offerWh);
    }

    /// @return where the step's fills end on the axis
    // slither-disable-next-line reentrancy-no-eth
    function _applySide(uint64 book_, Claim memory claim, bytes32[] calldata hashes, uint64 startWh)
        private
        returns (uint64)
    {
        for (uint256 i = 0; i < hashes.length; ++i) {
            bytes32 orderHash = hashes[i];
            uint256 word = orders_[orderHash];
            uint32 fillWh = _fillOf(claim, orderHash, word);
            _applyOrder(book_, orderHash, word, claim.isBid ? claim.price : BOND_MICRO_EUR_PER_KWH, fillWh, startWh);
            startWh += fillWh;
        }
        return startWh;
    }

    function _fillOf(Claim memory claim, bytes32 orderHash, uint256 word) private pure returns (uint32) {
        if (claim.volumeWh == 0) return 0;
        uint256 price = word.priceMicroEurPerKwh();
        if (price != claim.price) return claim.isBid == (price > claim.price) ? word.quantityWh() : 0;
        (uint256 floorWh, uint256 fraction) = ProRata.share(word.quantityWh(), claim.restWh, claim.marginWh);
        return uint32(floorWh + (ProRata.isChosen(claim.cut, fraction, orderHash) ? 1 : 0));
    }

    /// @param rate at which the order still holds money for its fill
    function _applyOrder(uint64 book_, bytes32 orderHash, uint256 word, uint256 rate, uint32 fillWh, uint64 startWh)
        private
    {
        uint256 number = word.district();
        uint256 boughtBeforeWh = 0;
        if (fillWh != 0) {
            if (!word.isBid()) _addSold(number, book_ / 2, fillWh);
            else if (book_ % 2 == 1) boughtBeforeWh = _addBought(number, book_ / 2, fillWh);
        }
        orders_[orderHash] = OrderWord.applied(fillWh, startWh, boughtBeforeWh);
        uint256 surplus = _needed(word) - Money.up(fillWh, rate);
        if (surplus != 0) escrow.unhold(traders_[number].ownerOrg, surplus);
        if (book_ % 2 == 1) _closeAttributes(book_, traders_[number].districtId, word.quantityWh() - fillWh);
        emit OrderApplied(orderHash, book_, fillWh, startWh, uint64(boughtBeforeWh));
    }

    // --- checks ------------------------------------------------------------------------------------------------------

    function _bookOf(uint32 hour, bool withAttributes) private pure returns (uint64) {
        return uint64(hour) * 2 + (withAttributes ? 1 : 0);
    }

    function _statusOf(uint64 book_, bool isCleared) private view returns (BookStatus) {
        // Of a number that is no book's the hour is ages away, so that it stays open.
        uint256 closesAt = _closesAt(book_ / 2);
        if (block.timestamp < closesAt) return BookStatus.Open;
        if (isCleared) return BookStatus.Cleared;
        return block.timestamp < closesAt + CLEARING_SECONDS ? BookStatus.Frozen : BookStatus.Void;
    }

    /// @dev As IMarketRules.closesAt.
    function _closesAt(uint256 hour) private view returns (uint256) {
        uint256 beginsAt = hour * 1 hours;
        return beginsAt > GATE_CLOSURE_SECONDS ? beginsAt - GATE_CLOSURE_SECONDS : 0;
    }

    function _isOwner(bytes32 ownerOrg, address account) private view returns (bool) {
        return registry.organisationOf(account) == ownerOrg && registry.hasRole(DISTRICT_OWNER, account);
    }

    /// @return signer a trading key of the district
    /// @return number the district's
    function _requireKey(bytes32 districtId, bytes32 digest, bytes calldata signature)
        private
        view
        returns (address signer, uint256 number)
    {
        // Zero for anything but the one accepted form of a signature; no district has that key.
        if (signature.length == 65) {
            (signer,,) =
                ECDSA.tryRecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
        }
        number = keys_[districtId][signer];
        if (number == 0) revert WrongSigner(signer, districtId);
    }
}
