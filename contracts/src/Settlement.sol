// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ReentrancyGuard } from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import { IClaims } from "./interfaces/IClaims.sol";
import { IEscrow } from "./interfaces/IEscrow.sol";
import { ILedger } from "./interfaces/ILedger.sol";
import { IMarket } from "./interfaces/IMarket.sol";
import { IMarketRules, Terms } from "./interfaces/IMarketRules.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";
import { ISettlement, Sale, SellerHour, SettlementStatus } from "./interfaces/ISettlement.sol";
import { CertifiedHour } from "./libraries/CertifiedHour.sol";
import { ProRata } from "./libraries/ProRata.sol";
import { TradeAmounts } from "./libraries/TradeAmounts.sol";
import { BilateralTrade, Cut, Order, OrderState, OrderStatus } from "./types/Trade.sol";

/// @title Settlement of trades, see ISettlement
/// @dev It calls only the platform's own contracts, none of which calls anything else than registers and balances: nobody's code runs
/// within a settlement, and a counterparty takes its money out of Escrow itself. The guard says so once more.
contract Settlement is ISettlement, ReentrancyGuard {
    IRegistry public immutable registry;
    ILedger public immutable ledger;
    IMarketRules public immutable rules;
    IEscrow public immutable escrow;
    IClaims public immutable claims;
    IMarket public immutable market;
    uint256 private immutable FINALITY_SECONDS;
    uint256 private immutable BOND_RATE;
    uint16 private immutable TOLERANCE_BP;
    uint32 private immutable TOLERANCE_WH;

    /// @dev One slot. Of the round before, what its shares were made of.
    struct Record {
        SettlementStatus status;
        uint16 round;
        uint64 soldWh;
        uint32 certifiedWh;
        uint32 steps;
        uint32 paid;
        bool hasCut;
        uint32 formerWh;
        bool formerHasCut;
    }

    /// @dev What a proposer's steps have shown so far.
    struct Proof {
        /// Hash of the cut and C, so that all steps are of the same shares.
        bytes32 commitment;
        /// Last bilateral trade or offer, and, of an offer, where on its book's axis its bids ended.
        bytes32 last;
        uint64 reachedWh;
        uint64 shownWh;
        uint32 floorsWh;
        uint32 chosen;
        uint24 steps;
        bool inSales;
        bool cutNamed;
        /// A follow-up: attributes of a trade change.
        bool changed;
    }

    /// @dev Paying a trade costs up to 80,000 gas, so that every proven step can be paid in one transaction: else nobody could ever.
    uint256 private constant MOST_TRADES_PER_STEP = 150;

    /// @dev What all trades of a call have in common; the last buyer and the books' prices are kept between trades.
    struct Context {
        bytes32 sellerId;
        bytes32 sellerOrg;
        uint32 hour;
        uint16 round;
        uint256 soldWh;
        uint256 certifiedWh;
        /// min(C, T)
        uint256 availableWh;
        Cut cut;
        /// Of a follow-up.
        uint256 formerWh;
        Cut formerCut;
        uint256 imbalance;
        bool isProving;
        bool isPaying;
        bytes32 buyerId;
        bytes32 buyerOrg;
        bool buyerMeasured;
        uint256 importWh;
        uint256 boughtWh;
        uint256[2] prices;
        bool[2] pricesKnown;
        /// To be given back of the seller's bond, and closed of its attributes, when the call ends.
        uint256 bondReturned;
        uint256 closedWh;
        uint32 trades;
    }

    /// @dev One trade, bilateral or the overlap of an offer and a bid. Places: in the bid's and the offer's fill, and in what the buyer
    /// bought with attributes.
    struct Trade {
        bytes32 id;
        bytes32 buyerId;
        bool withAttributes;
        uint256 price;
        uint256 quantityWh;
        uint256 bidBeginWh;
        uint256 offerBeginWh;
        uint256 boughtBeforeWh;
    }

    mapping(bytes32 districtId => mapping(uint256 hour => Record)) private records_;
    /// @dev Only rounds that needed one.
    mapping(bytes32 districtId => mapping(uint256 hour => mapping(uint256 round => Cut))) private cuts_;
    /// @dev Key: hash of seller, hour, round and proposer.
    mapping(bytes32 key => Proof) private proofs_;
    mapping(bytes32 key => mapping(uint256 step => bytes32)) private steps_;
    /// @dev Key of the proof whose steps are being paid.
    mapping(bytes32 districtId => mapping(uint256 hour => bytes32)) private proven_;
    /// @inheritdoc ISettlement
    mapping(bytes32 tradeId => uint32) public attributesMoved;

    constructor(
        IRegistry registry_,
        ILedger ledger_,
        IMarketRules rules_,
        IEscrow escrow_,
        IClaims claims_,
        IMarket market_
    ) {
        if (escrow_.settlement() != address(this)) {
            revert NotNamed(address(escrow_), escrow_.settlement());
        }
        if (claims_.settlement() != address(this)) revert NotNamed(address(claims_), claims_.settlement());
        registry = registry_;
        ledger = ledger_;
        rules = rules_;
        escrow = escrow_;
        claims = claims_;
        market = market_;
        FINALITY_SECONDS = ledger_.finalitySeconds();
        Terms memory terms = rules_.terms();
        BOND_RATE = terms.bondMicroEurPerKwh;
        TOLERANCE_BP = terms.toleranceBp;
        TOLERANCE_WH = terms.toleranceWh;
    }

    // --- shares and payment ------------------------------------------------------------------------------------------

    /// @inheritdoc ISettlement
    /// @dev A proof pays nothing: it calls views until the claims are booked.
    // slither-disable-next-line reentrancy-no-eth,reentrancy-benign
    function proveShares(
        bytes32 sellerDistrictId,
        uint32 hour,
        Cut calldata cut,
        BilateralTrade[] calldata trades,
        Sale[] calldata sales
    ) external nonReentrant returns (bool stands) {
        Context memory c = _begin(sellerDistrictId, hour, cut);
        c.isProving = true;
        bytes32 key = keccak256(abi.encode(sellerDistrictId, hour, c.round, msg.sender));
        if (trades.length + sales.length == 0) {
            delete proofs_[key];
            return false;
        }
        Proof memory proof = proofs_[key];
        bytes32 commitment = keccak256(abi.encode(cut, c.certifiedWh));
        if (proof.steps == 0) proof.commitment = commitment;
        else if (proof.commitment != commitment) revert CutChanged(proof.commitment);

        steps_[key][proof.steps] = keccak256(abi.encode(trades, sales));
        _walk(c, proof, trades, sales);
        if (c.trades > MOST_TRADES_PER_STEP) revert StepSize(c.trades, MOST_TRADES_PER_STEP);
        emit SettlementStep(sellerDistrictId, hour, c.round, msg.sender, proof.steps, c.trades);
        ++proof.steps;
        stands = proof.shownWh == c.soldWh;
        if (stands) {
            _stand(c, proof, SettlementStatus.Proven);
            proven_[sellerDistrictId][hour] = key;
            delete proofs_[key];
        } else {
            proofs_[key] = proof;
        }
    }

    /// @inheritdoc ISettlement
    function payShares(bytes32 sellerDistrictId, uint32 hour, BilateralTrade[] calldata trades, Sale[] calldata sales)
        external
        nonReentrant
    {
        Record storage record = records_[sellerDistrictId][hour];
        if (record.status != SettlementStatus.Proven) revert NotSettled(sellerDistrictId, hour);
        uint32 step = record.paid;
        bytes32 expected = steps_[proven_[sellerDistrictId][hour]][step];
        bytes32 shown = keccak256(abi.encode(trades, sales));
        if (shown != expected) revert WrongStep(expected, shown);
        record.paid = ++step;
        bool last = step == record.steps;
        if (last) record.status = SettlementStatus.Settled;

        Context memory c;
        (c.sellerId, c.hour, c.round, c.soldWh) = (sellerDistrictId, hour, record.round, record.soldWh);
        c.availableWh = _least(record.certifiedWh, c.soldWh);
        c.cut = _cut(sellerDistrictId, hour, c.round, record.hasCut);
        if (c.round > 1) _former(c, record.formerWh, record.formerHasCut);
        c.isPaying = true;
        c.imbalance = _imbalance(hour);
        c.sellerOrg = registry.district(sellerDistrictId).ownerOrg;
        Proof memory unused;
        _walk(c, unused, trades, sales);
        _endPaying(c);
        if (last) emit HourSettled(sellerDistrictId, hour, c.round);
    }

    /// @inheritdoc ISettlement
    /// @dev Whether the cut is right shows after the last trade, so that the record is written then.
    // slither-disable-next-line reentrancy-no-eth
    function settle(
        bytes32 sellerDistrictId,
        uint32 hour,
        Cut calldata cut,
        BilateralTrade[] calldata trades,
        Sale[] calldata sales
    ) external nonReentrant {
        Context memory c = _begin(sellerDistrictId, hour, cut);
        (c.isProving, c.isPaying) = (true, true);
        Proof memory proof;
        _walk(c, proof, trades, sales);
        if (proof.shownWh != c.soldWh) revert TradesMissing(proof.shownWh, c.soldWh);
        proof.steps = 1;
        _stand(c, proof, SettlementStatus.Settled);
        _endPaying(c);
        emit HourSettled(sellerDistrictId, hour, c.round);
    }

    // --- rounds ------------------------------------------------------------------------------------------------------

    /// @dev What the shares of the next round are made of.
    function _begin(bytes32 sellerId, uint32 hour, Cut calldata cut) private view returns (Context memory c) {
        Record memory record = records_[sellerId][hour];
        if (record.status == SettlementStatus.Proven) revert AlreadySettled(sellerId, hour);
        (c.sellerId, c.hour, c.round, c.cut) = (sellerId, hour, record.round + 1, cut);
        _requireFinal(hour);
        if (!market.fillsComplete(hour)) revert FillsIncomplete(hour);
        c.soldWh = market.soldWh(sellerId, hour);
        if (c.soldWh == 0) revert NothingSold(sellerId, hour);
        CertifiedHour.requireScanned(registry, ledger, sellerId);
        c.imbalance = _imbalance(hour);
        c.certifiedWh = _certified(sellerId, hour);
        c.availableWh = _least(c.certifiedWh, c.soldWh);
        if (c.round > 1) _former(c, record.certifiedWh, record.hasCut);
        c.sellerOrg = registry.district(sellerId).ownerOrg;
    }

    function _former(Context memory c, uint256 certifiedWh, bool hasCut) private view {
        c.formerWh = _least(certifiedWh, c.soldWh);
        c.formerCut = _cut(c.sellerId, c.hour, c.round - 1, hasCut);
    }

    function _cut(bytes32 sellerId, uint32 hour, uint16 round, bool hasCut) private view returns (Cut memory) {
        return hasCut ? cuts_[sellerId][hour][round] : Cut(ProRata.NOBODY, 0);
    }

    function _imbalance(uint32 hour) private view returns (uint256) {
        (bool known, uint32 price) = rules.imbalancePrice(hour);
        if (!known) revert ImbalanceUnknown(hour);
        return price;
    }

    /// @dev C: the export of a complete hour less what external certificates claim of it first.
    function _certified(bytes32 sellerId, uint32 hour) private view returns (uint256) {
        (bool complete, int256 netImportWh) = _measure(sellerId, hour);
        if (!complete || netImportWh >= 0) return 0;
        uint256 exportWh = uint256(-netImportWh);
        return exportWh - _least(claims.hourClaims(sellerId, hour).externalWh, exportWh);
    }

    /// @dev All trades are shown: they add up to T, and no two are the same. The round's shares are fixed and booked.
    function _stand(Context memory c, Proof memory proof, SettlementStatus status) private {
        uint256 left = c.availableWh - proof.floorsWh;
        if (!ProRata.isRight(c.cut, proof.chosen, proof.cutNamed, left)) revert WrongCut(proof.chosen, left);
        bool isFollowUp = c.round > 1;
        if (isFollowUp && c.availableWh == c.formerWh && !proof.changed) revert NothingChanged(c.sellerId, c.hour);
        Record storage record = records_[c.sellerId][c.hour];
        bool hasCut = proof.chosen != 0;
        records_[c.sellerId][c.hour] = Record({
            status: status,
            round: c.round,
            soldWh: uint64(c.soldWh),
            certifiedWh: uint32(c.certifiedWh),
            steps: proof.steps,
            paid: status == SettlementStatus.Settled ? proof.steps : 0,
            hasCut: hasCut,
            formerWh: record.certifiedWh,
            formerHasCut: record.hasCut
        });
        if (hasCut) cuts_[c.sellerId][c.hour][c.round] = c.cut;
        claims.bookDelivery(c.sellerId, c.hour, uint32(c.availableWh));
        emit SettlementProven(c.sellerId, c.hour, c.round, uint64(c.soldWh), uint32(c.certifiedWh));
    }

    function _endPaying(Context memory c) private {
        if (c.bondReturned != 0) escrow.unhold(c.sellerOrg, c.bondReturned);
        if (c.closedWh != 0) claims.closeAttributes(c.sellerId, c.hour, c.closedWh);
    }

    // --- trades ------------------------------------------------------------------------------------------------------

    /// @dev Every trade that is shown, in order.
    // slither-disable-next-line reentrancy-no-eth
    function _walk(Context memory c, Proof memory proof, BilateralTrade[] calldata trades, Sale[] calldata sales)
        private
    {
        for (uint256 i = 0; i < trades.length; ++i) {
            _bilateral(c, proof, trades[i]);
        }
        for (uint256 i = 0; i < sales.length; ++i) {
            _sale(c, proof, sales[i], i == 0);
        }
    }

    function _bilateral(Context memory c, Proof memory proof, BilateralTrade calldata trade) private {
        Trade memory t;
        t.id = market.hashTrade(trade);
        (bool registered, uint64 boughtBeforeWh) = market.tradeState(t.id);
        if (!registered || trade.sellerDistrictId != c.sellerId || trade.hour != c.hour) revert TradeUnknown(t.id);
        if (c.isProving) {
            if (proof.inSales || t.id <= proof.last) revert TradesNotSorted(t.id, proof.last);
            proof.last = t.id;
        }
        (t.buyerId, t.withAttributes) = (trade.buyerDistrictId, trade.withAttributes);
        (t.price, t.quantityWh) = (trade.priceMicroEurPerKwh, trade.quantityWh);
        t.boughtBeforeWh = boughtBeforeWh;
        _trade(c, proof, t);
    }

    /// @param mayContinue it is the first of its step: the offer's bids may go on where those of the step before ended
    function _sale(Context memory c, Proof memory proof, Sale calldata sale, bool mayContinue) private {
        (bytes32 offerHash, OrderState memory offer) = _applied(c, sale.offer, false, sale.offer.withAttributes);
        if (sale.offer.districtId != c.sellerId || sale.bids.length == 0) revert NotASale(offerHash);
        if (c.isProving && !(mayContinue && proof.inSales && offerHash == proof.last)) {
            if (proof.inSales && offerHash <= proof.last) revert TradesNotSorted(offerHash, proof.last);
            (proof.inSales, proof.last, proof.reachedWh) = (true, offerHash, offer.startWh);
        }
        Trade memory t;
        t.withAttributes = sale.offer.withAttributes;
        t.price = _price(c, t.withAttributes);
        for (uint256 i = 0; i < sale.bids.length; ++i) {
            _overlap(c, proof, t, offerHash, offer, sale.bids[i]);
        }
    }

    /// @dev Where the fills of an offer and a bid overlap on their book's axis, they trade.
    function _overlap(
        Context memory c,
        Proof memory proof,
        Trade memory t,
        bytes32 offerHash,
        OrderState memory offer,
        Order calldata order
    ) private {
        (bytes32 bidHash, OrderState memory bid) = _applied(c, order, true, t.withAttributes);
        uint256 start = offer.startWh > bid.startWh ? offer.startWh : bid.startWh;
        uint256 end = _least(uint256(offer.startWh) + offer.fillWh, uint256(bid.startWh) + bid.fillWh);
        if (end <= start) revert NotASale(bidHash);
        if (c.isProving) {
            if (start != proof.reachedWh) revert AxisGap(offerHash, proof.reachedWh, uint64(start));
            proof.reachedWh = uint64(end);
        }
        t.id = keccak256(abi.encode(offerHash, bidHash));
        t.buyerId = order.districtId;
        t.quantityWh = end - start;
        t.bidBeginWh = start - bid.startWh;
        t.offerBeginWh = start - offer.startWh;
        t.boughtBeforeWh = bid.boughtBeforeWh + t.bidBeginWh;
        _trade(c, proof, t);
    }

    /// @dev An order of the hour and book that has a fill.
    function _applied(Context memory c, Order calldata order, bool isBid, bool withAttributes)
        private
        view
        returns (bytes32 orderHash, OrderState memory state)
    {
        orderHash = market.hashOrder(order);
        state = market.orderState(orderHash);
        if (
            state.status != OrderStatus.Applied || state.fillWh == 0 || order.isBid != isBid || order.hour != c.hour
                || order.withAttributes != withAttributes
        ) revert NotASale(orderHash);
    }

    function _price(Context memory c, bool withAttributes) private view returns (uint256) {
        uint256 place = withAttributes ? 1 : 0;
        if (!c.pricesKnown[place]) {
            c.pricesKnown[place] = true;
            c.prices[place] = market.priceMicroEurPerKwh(uint64(c.hour) * 2 + uint64(place));
        }
        return c.prices[place];
    }

    function _trade(Context memory c, Proof memory proof, Trade memory t) private {
        ++c.trades;
        uint256 deliveredWh;
        if (c.isProving) {
            uint256 fraction;
            (deliveredWh, fraction) = ProRata.share(t.quantityWh, c.availableWh, c.soldWh);
            proof.shownWh += uint64(t.quantityWh);
            proof.floorsWh += uint32(deliveredWh);
            if (ProRata.isChosen(c.cut, fraction, t.id)) {
                ++proof.chosen;
                ++deliveredWh;
            }
            if (ProRata.isLast(c.cut, fraction, t.id)) proof.cutNamed = true;
        } else {
            deliveredWh = TradeAmounts.delivered(t.quantityWh, t.id, c.availableWh, c.soldWh, c.cut);
        }
        bool isFollowUp = c.round > 1;
        uint256 attributesWh = 0;
        if (t.buyerId != c.buyerId) _nextBuyer(c, t.buyerId);
        if (t.withAttributes && (c.isPaying || isFollowUp)) {
            if (!c.buyerMeasured) _measureBuyer(c);
            attributesWh = TradeAmounts.attributes(deliveredWh, t.boughtBeforeWh, t.quantityWh, c.importWh, c.boughtWh);
            if (isFollowUp && c.isProving && attributesWh != attributesMoved[t.id]) proof.changed = true;
        }
        if (!c.isPaying) return;
        if (isFollowUp) _follow(c, t, deliveredWh, uint32(attributesWh));
        else _pay(c, t, deliveredWh, uint32(attributesWh));
    }

    function _nextBuyer(Context memory c, bytes32 buyerId) private view {
        c.buyerId = buyerId;
        c.buyerMeasured = false;
        if (c.isPaying) c.buyerOrg = registry.district(buyerId).ownerOrg;
    }

    function _measureBuyer(Context memory c) private view {
        c.buyerMeasured = true;
        (bool complete, int256 netImportWh) = _measure(c.buyerId, c.hour);
        c.importWh = complete && netImportWh > 0 ? uint256(netImportWh) : 0;
        c.boughtWh = market.boughtWithAttributesWh(c.buyerId, c.hour);
    }

    function _pay(Context memory c, Trade memory t, uint256 deliveredWh, uint32 attributesWh) private {
        TradeAmounts.Amounts memory amounts = TradeAmounts.settle(
            t.bidBeginWh,
            t.offerBeginWh,
            t.quantityWh,
            deliveredWh,
            t.price,
            TradeAmounts.shortfallRate(t.price, c.imbalance, BOND_RATE),
            BOND_RATE
        );
        c.bondReturned += amounts.bondReturned;
        emit TradeSettled(
            t.id,
            c.sellerId,
            t.buyerId,
            c.hour,
            t.withAttributes,
            uint32(t.price),
            uint32(t.quantityWh),
            uint32(deliveredWh),
            attributesWh,
            amounts.paid,
            amounts.refunded,
            amounts.compensation
        );
        if (attributesWh != 0) attributesMoved[t.id] = attributesWh;
        if (amounts.paid != 0) escrow.pay(c.buyerOrg, c.sellerOrg, amounts.paid);
        if (amounts.refunded != 0) escrow.unhold(c.buyerOrg, amounts.refunded);
        if (amounts.compensation != 0) escrow.pay(c.sellerOrg, c.buyerOrg, amounts.compensation);
        if (!t.withAttributes) return;
        if (attributesWh != 0) {
            claims.moveAttributes(c.sellerId, t.buyerId, c.hour, int64(uint64(attributesWh)));
        }
        // After the move: what moves while something is open is no change of a final day.
        claims.closeAttributes(t.buyerId, c.hour, t.quantityWh);
        c.closedWh += t.quantityWh;
    }

    function _follow(Context memory c, Trade memory t, uint256 deliveredWh, uint32 attributesWh) private {
        uint256 formerWh = TradeAmounts.delivered(t.quantityWh, t.id, c.formerWh, c.soldWh, c.formerCut);
        uint256 formerAttributesWh = attributesMoved[t.id];
        if (deliveredWh == formerWh && attributesWh == formerAttributesWh) return;
        int256 toSeller = TradeAmounts.difference(
            t.quantityWh, formerWh, deliveredWh, t.price, TradeAmounts.shortfallRate(t.price, c.imbalance, BOND_RATE)
        );
        emit TradeFollowedUp(t.id, c.sellerId, t.buyerId, c.hour, c.round, uint32(deliveredWh), attributesWh, toSeller);
        if (attributesWh != formerAttributesWh) attributesMoved[t.id] = attributesWh;
        if (toSeller > 0) escrow.owe(c.buyerOrg, c.sellerOrg, uint256(toSeller));
        if (toSeller < 0) escrow.owe(c.sellerOrg, c.buyerOrg, uint256(-toSeller));
        if (attributesWh == formerAttributesWh) return;
        claims.moveAttributes(
            c.sellerId, t.buyerId, c.hour, int64(uint64(attributesWh)) - int64(uint64(formerAttributesWh))
        );
    }

    // --- certified energy --------------------------------------------------------------------------------------------

    /// @inheritdoc ISettlement
    function certifiedNetExport(bytes32 districtId, uint32 hour)
        external
        view
        returns (bool complete, int256 netExportWh)
    {
        _requireFinal(hour);
        int256 netImportWh;
        (complete, netImportWh) = _measure(districtId, hour);
        netExportWh = -netImportWh;
    }

    function _requireFinal(uint32 hour) private view {
        uint256 finalFrom = (uint256(hour) / 24 + 1) * 1 days + FINALITY_SECONDS;
        if (block.timestamp < finalFrom) revert HourNotFinal(hour, finalFrom);
    }

    function _measure(bytes32 districtId, uint32 hour) private view returns (bool complete, int256 netImportWh) {
        Terms memory tolerances;
        (tolerances.toleranceBp, tolerances.toleranceWh) = (TOLERANCE_BP, TOLERANCE_WH);
        return CertifiedHour.read(registry, ledger, tolerances, districtId, hour);
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc ISettlement
    function sellerHour(bytes32 sellerDistrictId, uint32 hour) external view returns (SellerHour memory) {
        Record memory record = records_[sellerDistrictId][hour];
        return SellerHour({
            status: record.status,
            round: record.round,
            soldWh: record.soldWh,
            certifiedWh: record.certifiedWh,
            steps: record.steps,
            paid: record.paid,
            cut: _cut(sellerDistrictId, hour, record.round, record.hasCut)
        });
    }

    /// @inheritdoc ISettlement
    function mostTradesPerStep() external pure returns (uint256) {
        return MOST_TRADES_PER_STEP;
    }

    /// @inheritdoc ISettlement
    function isSettled(bytes32 sellerDistrictId, uint32 hour) external view returns (bool) {
        if (records_[sellerDistrictId][hour].status == SettlementStatus.Settled) return true;
        return market.fillsComplete(hour) && market.soldWh(sellerDistrictId, hour) == 0;
    }
}
