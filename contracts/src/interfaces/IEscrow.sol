// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice A district's owner shares proceeds with members: amounts go to addresses, which withdraw them themselves.
/// @dev EIP-712, domain "PED Escrow", version "1". Who is behind an address stays off chain (domain.md §8).
/// @param purpose what it is for, for example hash of event and district
struct Split {
    bytes32 organisationId;
    bytes32 purpose;
    address[] recipients;
    uint128[] amounts;
    uint64 nonce;
    uint64 expiry;
}

/// @title Escrow: the money of the market and of demand response
/// @notice Holds one ERC-20. One token unit is one micro-euro. An account is an organisation's identifier, or an address (as bytes32,
/// right-aligned: no organisation's identifier begins with a zero byte).
/// @dev Two purses of holds, so that neither part can touch the other's: trade (Market and Settlement) and response (Flexibility).
/// Invariant: sum of free balances + sum of holds = total() = the contract's token balance, but for tokens sent to it without `deposit`.
/// Nobody has power over it: no owner, no pause, no upgrade; its writers are fixed at deployment.
interface IEscrow {
    event Deposited(bytes32 indexed account, address indexed from, uint256 amount);
    event Withdrawn(bytes32 indexed account, address indexed to, uint256 amount);
    event Held(bytes32 indexed account, bool indexed isResponse, uint256 amount);
    event Unheld(bytes32 indexed account, bool indexed isResponse, uint256 amount);
    /// @notice What was held of `from` is free money of `to`.
    event Paid(bytes32 indexed from, bytes32 indexed to, bool indexed isResponse, uint256 amount);
    /// @notice A follow-up settlement: `debtor` owes `creditor`; `amount` more is outstanding.
    event Owed(bytes32 indexed debtor, bytes32 indexed creditor, uint256 amount);
    event DebtPaid(bytes32 indexed debtor, bytes32 indexed creditor, uint256 amount);
    event SplitPaid(bytes32 indexed organisationId, bytes32 indexed purpose, address[] recipients, uint128[] amounts);

    error NotModule(address caller);
    /// @notice Only an organisation's account with the role DISTRICT_OWNER or GRID_OPERATOR moves its money.
    error NotTreasurer(address caller, bytes32 organisationId);
    error InsufficientFree(bytes32 account, uint256 free, uint256 needed);
    error InsufficientHeld(bytes32 account, bool isResponse, uint256 held, uint256 needed);
    /// @notice The token delivered another amount than it was asked for: it takes a fee, or is broken.
    error AmountChanged(uint256 asked, uint256 received);
    /// @notice More than the accounts can hold in total (112 bits).
    error TotalTooGreat(uint256 total);
    error UnknownAccount(bytes32 account);
    error ZeroAmount();
    /// @notice Debts come first: nothing is withdrawn or newly held before they are paid.
    error DebtOutstanding(bytes32 account, uint256 owed);
    error NoDebt(bytes32 debtor, bytes32 creditor);
    error SplitLengths(uint256 recipients, uint256 amounts);
    error SplitExpired(uint64 expiry);
    error SplitUsed(bytes32 digest);
    error SplitSigner(address recovered, bytes32 organisationId);

    /// @notice Pulls `amount` tokens of the caller (approve first) to the account of a registered organisation, its own or another's.
    function deposit(bytes32 organisationId, uint256 amount) external;

    /// @notice Sends free money of the caller's organisation to `to`.
    function withdraw(bytes32 organisationId, uint256 amount, address to) external;

    /// @notice Sends free money of the caller's own address (a member's share) to `to`.
    function withdrawShare(uint256 amount, address to) external;

    /// @notice Shares free money of an organisation as its owner signed it, once. Anyone may carry it.
    function paySplit(Split calldata split, bytes calldata signature) external;

    /// @notice Pays what the debtor owes the creditor as far as its free money reaches. Anyone may call.
    function payDebt(bytes32 debtor, bytes32 creditor) external returns (uint256 paid);

    /// @notice Free to held. Modules only, as all below; the purse is the caller's.
    function hold(bytes32 account, uint256 amount) external;

    /// @notice Held to free.
    function unhold(bytes32 account, uint256 amount) external;

    /// @notice Held money of `from` to free money of `to`.
    function pay(bytes32 from, bytes32 to, uint256 amount) external;

    /// @notice Follow-up: what the creditor owes the debtor is set off (DebtPaid), then free money of the debtor goes to the creditor, as far
    /// as it reaches; the rest becomes a debt.
    function owe(bytes32 debtor, bytes32 creditor, uint256 amount) external;

    /// @notice The modules: Market and Settlement share the purse of trade, Flexibility has that of response.
    function market() external view returns (address);
    function settlement() external view returns (address);
    function flexibility() external view returns (address);

    function token() external view returns (address);
    function free(bytes32 account) external view returns (uint256);
    function held(bytes32 account, bool isResponse) external view returns (uint256);
    function debt(bytes32 debtor, bytes32 creditor) external view returns (uint256);
    /// @notice All that the account owes.
    function debts(bytes32 account) external view returns (uint256);
    function total() external view returns (uint256);
    function hashSplit(Split calldata split) external view returns (bytes32);
}
