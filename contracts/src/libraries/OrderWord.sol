// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { OrderState, OrderStatus } from "../types/Trade.sol";

/// @title Order word: all that the market keeps of an order
/// @dev Bits 0..7 status. Of a live order then: 8..40 book, 41 is a bid, 64..95 district number, 96..127 quantity, 128..159 limit price:
/// what clearing needs, so that it costs one read. Of an applied one: 32..63 fill, 64..127 start, 128..191 bought before. No other
/// status keeps anything.
library OrderWord {
    uint256 private constant BOOK = 8;
    uint256 private constant SIDE = 41;
    uint256 private constant DISTRICT = 64;
    uint256 private constant QUANTITY = 96;
    uint256 private constant PRICE = 128;
    uint256 private constant FILL = 32;
    uint256 private constant START = 64;
    uint256 private constant BOUGHT_BEFORE = 128;
    uint256 private constant PLACE = (1 << DISTRICT) - 1;

    function live(uint256 book_, bool isBid_, uint256 district_, uint256 quantityWh_, uint256 price_)
        internal
        pure
        returns (uint256)
    {
        return place(book_, isBid_) | (district_ << DISTRICT) | (quantityWh_ << QUANTITY) | (price_ << PRICE);
    }

    function applied(uint256 fillWh, uint256 startWh, uint256 boughtBeforeWh) internal pure returns (uint256) {
        return uint256(OrderStatus.Applied) | (fillWh << FILL) | (startWh << START) | (boughtBeforeWh << BOUGHT_BEFORE);
    }

    /// @notice What isAt compares: a live order of that side of that book.
    function place(uint256 book_, bool isBid_) internal pure returns (uint256) {
        return uint256(OrderStatus.Live) | (book_ << BOOK) | (isBid_ ? 1 << SIDE : 0);
    }

    function isAt(uint256 word, uint256 place_) internal pure returns (bool) {
        return word & PLACE == place_;
    }

    function status(uint256 word) internal pure returns (OrderStatus) {
        return OrderStatus(word & 0xff);
    }

    /// @dev The rest is about live orders only.
    function bookOf(uint256 word) internal pure returns (uint64) {
        return uint64((word >> BOOK) & 0x1ffffffff);
    }

    function isBid(uint256 word) internal pure returns (bool) {
        return (word >> SIDE) & 1 == 1;
    }

    function district(uint256 word) internal pure returns (uint32) {
        return uint32(word >> DISTRICT);
    }

    function quantityWh(uint256 word) internal pure returns (uint32) {
        return uint32(word >> QUANTITY);
    }

    function priceMicroEurPerKwh(uint256 word) internal pure returns (uint32) {
        return uint32(word >> PRICE);
    }

    function state(uint256 word) internal pure returns (OrderState memory state_) {
        state_.status = status(word);
        if (state_.status != OrderStatus.Applied) return state_;
        state_.fillWh = uint32(word >> FILL);
        state_.startWh = uint64(word >> START);
        state_.boughtBeforeWh = uint64(word >> BOUGHT_BEFORE);
    }
}
