// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IERC20 } from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import { SafeERC20 } from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import { ReentrancyGuard } from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import { ECDSA } from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import { EIP712 } from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import { IEscrow, Split } from "./interfaces/IEscrow.sol";
import { IRegistry } from "./interfaces/IRegistry.sol";

/// @title Escrow, see IEscrow
/// @dev Amounts are kept in 112 bits: deposit refuses more in total, and everything else moves what was deposited. Tokens move at the
/// start of deposit and at the end of a withdrawal, when the books are right for whoever the token calls; the guard keeps
/// one from running inside the other, whose comparison of balances it would disturb.
contract Escrow is IEscrow, EIP712, ReentrancyGuard {
    using SafeERC20 for IERC20;

    bytes32 private constant SPLIT_TYPEHASH = keccak256(
        "Split(bytes32 organisationId,bytes32 purpose,address[] recipients,uint128[] amounts,uint64 nonce,uint64 expiry)"
    );
    bytes32 private constant GRID_OPERATOR = keccak256("GRID_OPERATOR");
    bytes32 private immutable DISTRICT_OWNER;

    IERC20 private immutable TOKEN;
    IRegistry public immutable registry;
    /// @inheritdoc IEscrow
    address public immutable market;
    /// @inheritdoc IEscrow
    address public immutable settlement;
    /// @inheritdoc IEscrow
    address public immutable flexibility;

    /// @dev Two slots; an order touches the first one only.
    /// @param indebted debts is not 0
    struct Account {
        uint112 free;
        uint112 trade;
        bool indebted;
        uint128 response;
        uint128 debts;
    }

    mapping(bytes32 account => Account) private accounts_;
    /// @inheritdoc IEscrow
    mapping(bytes32 debtor => mapping(bytes32 creditor => uint256)) public debt;
    mapping(bytes32 digest => bool) private usedSplits_;
    /// @inheritdoc IEscrow
    uint256 public total;

    constructor(IERC20 token_, IRegistry registry_, address market_, address settlement_, address flexibility_)
        EIP712("PED Escrow", "1")
    {
        TOKEN = token_;
        registry = registry_;
        market = market_;
        settlement = settlement_;
        flexibility = flexibility_;
        DISTRICT_OWNER = registry_.DISTRICT_OWNER();
    }

    // --- tokens ------------------------------------------------------------------------------------------------------

    /// @inheritdoc IEscrow
    function deposit(bytes32 organisationId, uint256 amount) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        if (bytes(registry.organisationName(organisationId)).length == 0) revert UnknownAccount(organisationId);
        uint256 newTotal = total + amount;
        if (newTotal > type(uint112).max) revert TotalTooGreat(newTotal);
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        if (received != amount) revert AmountChanged(amount, received);
        total = newTotal;
        accounts_[organisationId].free += uint112(amount);
        emit Deposited(organisationId, msg.sender, amount);
    }

    /// @inheritdoc IEscrow
    function withdraw(bytes32 organisationId, uint256 amount, address to) external nonReentrant {
        bool isTreasurer = registry.organisationOf(msg.sender) == organisationId
            && (registry.hasRole(DISTRICT_OWNER, msg.sender) || registry.hasRole(GRID_OPERATOR, msg.sender));
        if (!isTreasurer) revert NotTreasurer(msg.sender, organisationId);
        _withdraw(organisationId, amount, to);
    }

    /// @inheritdoc IEscrow
    function withdrawShare(uint256 amount, address to) external nonReentrant {
        _withdraw(_shareOf(msg.sender), amount, to);
    }

    function _withdraw(bytes32 account, uint256 amount, address to) private {
        if (amount == 0) revert ZeroAmount();
        _takeFree(account, amount);
        total -= amount;
        emit Withdrawn(account, to, amount);
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransfer(to, amount);
        uint256 sent = before - TOKEN.balanceOf(address(this));
        if (sent != amount) revert AmountChanged(amount, sent);
    }

    // --- shares and debts --------------------------------------------------------------------------------------------

    /// @inheritdoc IEscrow
    function paySplit(Split calldata split, bytes calldata signature) external {
        bytes32 organisationId = split.organisationId;
        uint256 count = split.recipients.length;
        if (count == 0 || count != split.amounts.length) revert SplitLengths(count, split.amounts.length);
        if (block.timestamp > split.expiry) revert SplitExpired(split.expiry);
        bytes32 digest = hashSplit(split);
        if (usedSplits_[digest]) revert SplitUsed(digest);
        address signer = _recover(digest, signature);
        if (registry.organisationOf(signer) != organisationId || !registry.hasRole(DISTRICT_OWNER, signer)) {
            revert SplitSigner(signer, organisationId);
        }
        usedSplits_[digest] = true;
        uint256 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            sum += split.amounts[i];
        }
        _takeFree(organisationId, sum);
        for (uint256 i = 0; i < count; ++i) {
            address recipient = split.recipients[i];
            if (recipient == address(0)) revert UnknownAccount(0);
            accounts_[_shareOf(recipient)].free += uint112(split.amounts[i]);
        }
        emit SplitPaid(organisationId, split.purpose, split.recipients, split.amounts);
    }

    /// @inheritdoc IEscrow
    function payDebt(bytes32 debtor, bytes32 creditor) external returns (uint256 paid) {
        uint256 owed = debt[debtor][creditor];
        if (owed == 0) revert NoDebt(debtor, creditor);
        paid = _transferFree(debtor, creditor, owed);
        _reduceDebt(debtor, creditor, owed, paid);
    }

    // --- modules -----------------------------------------------------------------------------------------------------

    /// @inheritdoc IEscrow
    function hold(bytes32 account, uint256 amount) external {
        bool isResponse = _isResponse();
        _takeFree(account, amount);
        // Was free, so that it fits.
        if (isResponse) accounts_[account].response += uint128(amount);
        else accounts_[account].trade += uint112(amount);
        emit Held(account, isResponse, amount);
    }

    /// @inheritdoc IEscrow
    function unhold(bytes32 account, uint256 amount) external {
        bool isResponse = _isResponse();
        _takeHeld(account, isResponse, amount);
        accounts_[account].free += uint112(amount);
        emit Unheld(account, isResponse, amount);
    }

    /// @inheritdoc IEscrow
    function pay(bytes32 from, bytes32 to, uint256 amount) external {
        bool isResponse = _isResponse();
        _takeHeld(from, isResponse, amount);
        accounts_[to].free += uint112(amount);
        emit Paid(from, to, isResponse, amount);
    }

    /// @inheritdoc IEscrow
    function owe(bytes32 debtor, bytes32 creditor, uint256 amount) external {
        _isResponse();
        // What the creditor owes the debtor is set off first.
        uint256 opposite = debt[creditor][debtor];
        uint256 setOff = opposite < amount ? opposite : amount;
        _reduceDebt(creditor, debtor, opposite, setOff);
        uint256 rest = amount - setOff;
        rest -= _transferFree(debtor, creditor, rest);
        if (rest == 0) return;
        debt[debtor][creditor] += rest;
        accounts_[debtor].debts += uint128(rest);
        accounts_[debtor].indebted = true;
        emit Owed(debtor, creditor, rest);
    }

    // --- views -------------------------------------------------------------------------------------------------------

    /// @inheritdoc IEscrow
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IEscrow
    function free(bytes32 account) external view returns (uint256) {
        return accounts_[account].free;
    }

    /// @inheritdoc IEscrow
    function held(bytes32 account, bool isResponse) external view returns (uint256) {
        return isResponse ? accounts_[account].response : accounts_[account].trade;
    }

    /// @inheritdoc IEscrow
    function debts(bytes32 account) external view returns (uint256) {
        return accounts_[account].debts;
    }

    /// @inheritdoc IEscrow
    function hashSplit(Split calldata split) public view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    SPLIT_TYPEHASH,
                    split.organisationId,
                    split.purpose,
                    keccak256(abi.encodePacked(split.recipients)),
                    keccak256(abi.encodePacked(split.amounts)),
                    split.nonce,
                    split.expiry
                )
            )
        );
    }

    // --- accounts ----------------------------------------------------------------------------------------------------

    function _takeFree(bytes32 account, uint256 amount) private {
        Account storage entry = accounts_[account];
        uint256 available = entry.free;
        if (entry.indebted) revert DebtOutstanding(account, entry.debts);
        if (available < amount) revert InsufficientFree(account, available, amount);
        entry.free = uint112(available - amount);
    }

    function _takeHeld(bytes32 account, bool isResponse, uint256 amount) private {
        Account storage entry = accounts_[account];
        uint256 available = isResponse ? entry.response : entry.trade;
        if (available < amount) revert InsufficientHeld(account, isResponse, available, amount);
        if (isResponse) entry.response = uint128(available - amount);
        else entry.trade = uint112(available - amount);
    }

    /// @return moved of `amount`, as far as the free money of `from` reaches
    function _transferFree(bytes32 from, bytes32 to, uint256 amount) private returns (uint256 moved) {
        uint256 available = accounts_[from].free;
        moved = available < amount ? available : amount;
        accounts_[from].free = uint112(available - moved);
        accounts_[to].free += uint112(moved);
    }

    function _reduceDebt(bytes32 debtor, bytes32 creditor, uint256 owed, uint256 by) private {
        if (by == 0) return;
        debt[debtor][creditor] = owed - by;
        Account storage entry = accounts_[debtor];
        uint128 rest = entry.debts - uint128(by);
        entry.debts = rest;
        if (rest == 0) entry.indebted = false;
        emit DebtPaid(debtor, creditor, by);
    }

    /// @dev No slug has zero bytes before others, so that no organisation bears an address's identifier.
    function _shareOf(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /// @return whether the caller's purse is that of demand response
    function _isResponse() private view returns (bool) {
        if (msg.sender == flexibility) return true;
        if (msg.sender == market || msg.sender == settlement) return false;
        revert NotModule(msg.sender);
    }

    /// @dev Zero for anything but the one accepted form of a signature.
    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address recovered) {
        if (signature.length != 65) return address(0);
        (recovered,,) =
            ECDSA.tryRecover(digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }
}
