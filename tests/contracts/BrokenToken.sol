// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { ERC20 } from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

import { IEscrow } from "contracts/interfaces/IEscrow.sol";

enum Fault {
    None,
    /// One unit of each transfer is lost.
    Fee,
    /// The sender loses one unit more.
    FeeOnTop,
    AnswersFalse,
    /// Answers true and moves nothing.
    Pretends,
    /// Moves, and answers nothing at all, as old tokens do.
    AnswersNothing,
    /// The rest call the escrow back before they move anything.
    Deposits,
    Withdraws,
    WithdrawsShare
}

/// @notice An ERC-20 that becomes hostile when told.
contract BrokenToken is ERC20 {
    Fault private _fault;
    IEscrow private _escrow;
    bytes32 private _account;
    /// What the escrow answered to the call back.
    bytes public answer;

    constructor() ERC20("Broken", "BRK") { }

    function give(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function breakDown(Fault fault, IEscrow escrow, bytes32 account) external {
        (_fault, _escrow, _account) = (fault, escrow, account);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _answer(_moves(msg.sender, to, amount));
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return _answer(_moves(from, to, amount));
    }

    function _moves(address from, address to, uint256 amount) private returns (bool) {
        if (_fault == Fault.AnswersFalse) return false;
        if (_fault == Fault.Pretends) return true;
        delete answer;
        if (_fault == Fault.Deposits) _call(abi.encodeCall(_escrow.deposit, (_account, 1)));
        if (_fault == Fault.Withdraws) _call(abi.encodeCall(_escrow.withdraw, (_account, 1, address(this))));
        if (_fault == Fault.WithdrawsShare) _call(abi.encodeCall(_escrow.withdrawShare, (1, address(this))));
        _transfer(from, to, amount);
        if (_fault == Fault.Fee) _burn(to, 1);
        if (_fault == Fault.FeeOnTop) _burn(from, 1);
        return true;
    }

    function _call(bytes memory data) private {
        (, answer) = address(_escrow).call(data);
    }

    function _answer(bool result) private view returns (bool) {
        if (_fault == Fault.AnswersNothing) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return result;
    }
}
