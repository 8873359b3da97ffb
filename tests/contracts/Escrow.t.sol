// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import { IEscrow, Split } from "contracts/interfaces/IEscrow.sol";
import { MarketFixture } from "testing/MarketFixture.sol";
import { BrokenToken, Fault } from "testing/BrokenToken.sol";

contract EscrowTest is MarketFixture {
    bytes32 private constant MEMBER_SPLIT = "split of the event";

    address private immutable member = _account("member");

    // --- deposits and withdrawals ------------------------------------------------------------------------------------

    function test_the_token_is_made_by_administrators_only() public {
        assertEq(uint256(token.decimals()), 6);
        vm.prank(hillOwner);
        vm.expectPartialRevert(bytes4(keccak256("NotAdministrator(address)")));
        token.mint(hillOwner, 1);
    }

    function test_deposit_for_another_and_withdraw_elsewhere() public {
        vm.prank(administrator);
        token.mint(stranger, 70);
        vm.startPrank(stranger);
        token.approve(address(escrow), 70);
        vm.expectEmit(address(escrow));
        emit IEscrow.Deposited(HILL_OWNERS, stranger, 70);
        escrow.deposit(HILL_OWNERS, 70);
        vm.stopPrank();
        assertEq(escrow.free(HILL_OWNERS), WEALTH + 70);
        assertEq(escrow.total(), 3 * WEALTH + 70);

        vm.prank(hillOwner);
        vm.expectEmit(address(escrow));
        emit IEscrow.Withdrawn(HILL_OWNERS, member, WEALTH + 70);
        escrow.withdraw(HILL_OWNERS, WEALTH + 70, member);
        assertEq(token.balanceOf(member), WEALTH + 70);
        assertEq(escrow.free(HILL_OWNERS), 0);
        assertEq(escrow.total(), 2 * WEALTH);
    }

    function test_refuses_deposits() public {
        vm.startPrank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.UnknownAccount.selector, bytes32("nobody")));
        escrow.deposit("nobody", 1);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.UnknownAccount.selector, accountOf(hillOwner)));
        escrow.deposit(accountOf(hillOwner), 1);
        vm.expectRevert(IEscrow.ZeroAmount.selector);
        escrow.deposit(HILL_OWNERS, 0);
        vm.stopPrank();
        vm.prank(administrator);
        token.mint(stranger, type(uint256).max - 3 * WEALTH);
        vm.startPrank(stranger);
        token.approve(address(escrow), type(uint256).max);
        uint256 most = type(uint112).max - 3 * WEALTH;
        vm.expectRevert(abi.encodeWithSelector(IEscrow.TotalTooGreat.selector, uint256(type(uint112).max) + 1));
        escrow.deposit(HILL_OWNERS, most + 1);
        escrow.deposit(HILL_OWNERS, most);
        vm.stopPrank();
        assertEq(escrow.total(), type(uint112).max);
    }

    function test_refuses_withdrawals() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, stranger, HILL_OWNERS));
        escrow.withdraw(HILL_OWNERS, 1, stranger);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, stranger, bytes32(0)));
        escrow.withdraw(0, 1, stranger);
        // Another organisation's owner; an account of the organisation without the role; a dismissed one.
        vm.prank(harbourOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, harbourOwner, HILL_OWNERS));
        escrow.withdraw(HILL_OWNERS, 1, harbourOwner);
        vm.startPrank(administrator);
        registry.enrol(stranger, HILL_OWNERS, registry.METER_OPERATOR());
        registry.dismiss(hillOwner, registry.DISTRICT_OWNER());
        vm.stopPrank();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, stranger, HILL_OWNERS));
        escrow.withdraw(HILL_OWNERS, 1, stranger);
        vm.prank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, hillOwner, HILL_OWNERS));
        escrow.withdraw(HILL_OWNERS, 1, hillOwner);

        vm.startPrank(harbourOwner);
        vm.expectRevert(IEscrow.ZeroAmount.selector);
        escrow.withdraw(HARBOUR_OWNERS, 0, harbourOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HARBOUR_OWNERS, WEALTH, WEALTH + 1));
        escrow.withdraw(HARBOUR_OWNERS, WEALTH + 1, harbourOwner);
        vm.expectPartialRevert(IEscrow.InsufficientFree.selector);
        escrow.withdraw(HARBOUR_OWNERS, type(uint256).max, harbourOwner);
        // To the escrow itself: nothing would leave.
        vm.expectRevert(abi.encodeWithSelector(IEscrow.AmountChanged.selector, 5, 0));
        escrow.withdraw(HARBOUR_OWNERS, 5, address(escrow));
        vm.expectPartialRevert(IEscrow.InsufficientFree.selector);
        escrow.withdrawShare(1, harbourOwner);
        vm.stopPrank();
    }

    function test_tokens_sent_without_deposit_are_nobodys() public {
        vm.prank(administrator);
        token.mint(address(escrow), 1000);
        assertEq(escrow.total(), 3 * WEALTH);
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH, hillOwner);
        assertEq(token.balanceOf(address(escrow)), 2 * WEALTH + 1000);
    }

    // --- other people's tokens ---------------------------------------------------------------------------------------

    function _withToken(Fault fault) private returns (BrokenToken broken) {
        broken = new BrokenToken();
        _deployMarket(terms(), address(broken));
        broken.give(hillOwner, 2000);
        vm.startPrank(hillOwner);
        broken.approve(address(escrow), 2000);
        escrow.deposit(HILL_OWNERS, 1000);
        vm.stopPrank();
        broken.breakDown(fault, escrow, HILL_OWNERS);
    }

    function _unchanged(BrokenToken broken) private view {
        assertEq(escrow.free(HILL_OWNERS), 1000);
        assertEq(escrow.total(), 1000);
        assertEq(broken.balanceOf(address(escrow)), 1000);
    }

    function test_a_token_that_takes_a_fee_is_refused() public {
        BrokenToken broken = _withToken(Fault.Fee);
        vm.startPrank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.AmountChanged.selector, 100, 99));
        escrow.deposit(HILL_OWNERS, 100);
        vm.stopPrank();
        _unchanged(broken);
        // A fee on top, out of what belongs to others.
        broken = _withToken(Fault.FeeOnTop);
        vm.startPrank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.AmountChanged.selector, 100, 101));
        escrow.withdraw(HILL_OWNERS, 100, hillOwner);
        vm.stopPrank();
        _unchanged(broken);
    }

    function test_a_token_that_answers_false_or_does_nothing_is_refused() public {
        Fault[2] memory faults = [Fault.AnswersFalse, Fault.Pretends];
        bytes4[2] memory errors =
            [bytes4(keccak256("SafeERC20FailedOperation(address)")), IEscrow.AmountChanged.selector];
        for (uint256 i = 0; i < 2; ++i) {
            BrokenToken broken = _withToken(faults[i]);
            vm.startPrank(hillOwner);
            vm.expectPartialRevert(errors[i]);
            escrow.deposit(HILL_OWNERS, 100);
            vm.expectPartialRevert(errors[i]);
            escrow.withdraw(HILL_OWNERS, 100, hillOwner);
            vm.stopPrank();
            _unchanged(broken);
        }
    }

    function test_a_token_that_answers_nothing_is_accepted() public {
        BrokenToken broken = _withToken(Fault.AnswersNothing);
        vm.startPrank(hillOwner);
        escrow.deposit(HILL_OWNERS, 100);
        escrow.withdraw(HILL_OWNERS, 100, hillOwner);
        vm.stopPrank();
        _unchanged(broken);
    }

    /// The token calls back into every function that moves tokens, as an account that could use them.
    function test_a_token_that_calls_back_gets_nothing() public {
        Fault[3] memory faults = [Fault.Deposits, Fault.Withdraws, Fault.WithdrawsShare];
        for (uint256 i = 0; i < 3; ++i) {
            BrokenToken broken = _withToken(faults[i]);
            vm.startPrank(administrator);
            registry.enrol(address(broken), HILL_OWNERS, registry.DISTRICT_OWNER());
            vm.stopPrank();
            bytes memory reason = abi.encodeWithSignature("ReentrancyGuardReentrantCall()");
            vm.startPrank(hillOwner);
            escrow.deposit(HILL_OWNERS, 100);
            assertEq(broken.answer(), reason);
            escrow.withdraw(HILL_OWNERS, 100, hillOwner);
            assertEq(broken.answer(), reason);
            vm.stopPrank();
            _unchanged(broken);
        }
    }

    // --- modules -----------------------------------------------------------------------------------------------------

    function test_only_modules_hold_and_pay() public {
        address[4] memory others = [stranger, hillOwner, administrator, address(escrow)];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory refusal = abi.encodeWithSelector(IEscrow.NotModule.selector, others[i]);
            vm.startPrank(others[i]);
            vm.expectRevert(refusal);
            escrow.hold(HILL_OWNERS, 1);
            vm.expectRevert(refusal);
            escrow.unhold(HILL_OWNERS, 0);
            vm.expectRevert(refusal);
            escrow.pay(HILL_OWNERS, HARBOUR_OWNERS, 0);
            vm.expectRevert(refusal);
            escrow.owe(HILL_OWNERS, HARBOUR_OWNERS, 1);
            vm.stopPrank();
        }
    }

    function test_the_purses_are_apart() public {
        vm.prank(marketAddress);
        vm.expectEmit(address(escrow));
        emit IEscrow.Held(HILL_OWNERS, false, 100);
        escrow.hold(HILL_OWNERS, 100);
        vm.prank(flexibilityAddress);
        vm.expectEmit(address(escrow));
        emit IEscrow.Held(HILL_OWNERS, true, 30);
        escrow.hold(HILL_OWNERS, 30);
        assertEq(escrow.held(HILL_OWNERS, false), 100);
        assertEq(escrow.held(HILL_OWNERS, true), 30);
        assertEq(escrow.free(HILL_OWNERS), WEALTH - 130);

        vm.startPrank(flexibilityAddress);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientHeld.selector, HILL_OWNERS, true, 30, 31));
        escrow.unhold(HILL_OWNERS, 31);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientHeld.selector, HILL_OWNERS, true, 30, 31));
        escrow.pay(HILL_OWNERS, HARBOUR_OWNERS, 31);
        vm.expectEmit(address(escrow));
        emit IEscrow.Paid(HILL_OWNERS, HARBOUR_OWNERS, true, 30);
        escrow.pay(HILL_OWNERS, HARBOUR_OWNERS, 30);
        vm.stopPrank();

        // Market and Settlement share one.
        vm.startPrank(settlementAddress);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientHeld.selector, HILL_OWNERS, false, 100, 101));
        escrow.pay(HILL_OWNERS, HARBOUR_OWNERS, 101);
        escrow.pay(HILL_OWNERS, HARBOUR_OWNERS, 60);
        vm.expectEmit(address(escrow));
        emit IEscrow.Unheld(HILL_OWNERS, false, 40);
        escrow.unhold(HILL_OWNERS, 40);
        vm.stopPrank();
        assertEq(escrow.free(HILL_OWNERS), WEALTH - 90);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH + 90);
        assertEq(escrow.held(HILL_OWNERS, false) + escrow.held(HILL_OWNERS, true), 0);
    }

    function test_what_is_held_cannot_be_withdrawn() public {
        vm.prank(marketAddress);
        escrow.hold(HILL_OWNERS, WEALTH);
        vm.prank(hillOwner);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HILL_OWNERS, 0, 1));
        escrow.withdraw(HILL_OWNERS, 1, hillOwner);
        vm.prank(marketAddress);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientFree.selector, HILL_OWNERS, 0, 1));
        escrow.hold(HILL_OWNERS, 1);
    }

    // --- debts -------------------------------------------------------------------------------------------------------

    function test_debts_come_first() public {
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH - 10, hillOwner);
        vm.prank(settlementAddress);
        vm.expectEmit(address(escrow));
        emit IEscrow.Owed(HILL_OWNERS, HARBOUR_OWNERS, 90);
        escrow.owe(HILL_OWNERS, HARBOUR_OWNERS, 100);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH + 10);
        assertEq(escrow.free(HILL_OWNERS), 0);
        assertEq(escrow.debt(HILL_OWNERS, HARBOUR_OWNERS), 90);
        assertEq(escrow.debts(HILL_OWNERS), 90);

        fund(hillOwner, HILL_OWNERS, 60);
        bytes memory refusal = abi.encodeWithSelector(IEscrow.DebtOutstanding.selector, HILL_OWNERS, 90);
        vm.prank(hillOwner);
        vm.expectRevert(refusal);
        escrow.withdraw(HILL_OWNERS, 1, hillOwner);
        vm.prank(marketAddress);
        vm.expectRevert(refusal);
        escrow.hold(HILL_OWNERS, 1);
        Split memory split = _split(1);
        bytes memory signature = _signed(HILL_OWNER_KEY, split);
        vm.expectRevert(refusal);
        escrow.paySplit(split, signature);

        vm.prank(stranger);
        vm.expectEmit(address(escrow));
        emit IEscrow.DebtPaid(HILL_OWNERS, HARBOUR_OWNERS, 60);
        assertEq(escrow.payDebt(HILL_OWNERS, HARBOUR_OWNERS), 60);
        assertEq(escrow.payDebt(HILL_OWNERS, HARBOUR_OWNERS), 0);
        assertEq(escrow.debts(HILL_OWNERS), 30);
        fund(hillOwner, HILL_OWNERS, 40);
        assertEq(escrow.payDebt(HILL_OWNERS, HARBOUR_OWNERS), 30);
        assertEq(escrow.debts(HILL_OWNERS), 0);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NoDebt.selector, HILL_OWNERS, HARBOUR_OWNERS));
        escrow.payDebt(HILL_OWNERS, HARBOUR_OWNERS);
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, 10, hillOwner);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH + 100);
    }

    function test_opposite_debts_are_set_off() public {
        vm.prank(hillOwner);
        escrow.withdraw(HILL_OWNERS, WEALTH, hillOwner);
        vm.startPrank(settlementAddress);
        escrow.owe(HILL_OWNERS, HARBOUR_OWNERS, 100);
        vm.expectEmit(address(escrow));
        emit IEscrow.DebtPaid(HILL_OWNERS, HARBOUR_OWNERS, 30);
        escrow.owe(HARBOUR_OWNERS, HILL_OWNERS, 30);
        assertEq(escrow.debt(HILL_OWNERS, HARBOUR_OWNERS), 70);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH);
        escrow.owe(HARBOUR_OWNERS, HILL_OWNERS, 75);
        vm.stopPrank();
        assertEq(escrow.debts(HILL_OWNERS), 0);
        assertEq(escrow.debts(HARBOUR_OWNERS), 0);
        assertEq(escrow.free(HILL_OWNERS), 5);
        assertEq(escrow.free(HARBOUR_OWNERS), WEALTH - 5);
    }

    // --- splits ------------------------------------------------------------------------------------------------------

    function _split(uint128 amount) private view returns (Split memory split) {
        split.organisationId = HILL_OWNERS;
        split.purpose = MEMBER_SPLIT;
        split.recipients = new address[](2);
        (split.recipients[0], split.recipients[1]) = (member, stranger);
        split.amounts = new uint128[](2);
        (split.amounts[0], split.amounts[1]) = (amount, 2 * amount);
        split.nonce = 1;
        split.expiry = START + 100;
    }

    function _hash(Split memory s) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256(
                    "Split(bytes32 organisationId,bytes32 purpose,address[] recipients,uint128[] amounts,uint64 nonce,uint64 expiry)"
                ),
                s.organisationId,
                s.purpose,
                keccak256(abi.encodePacked(s.recipients)),
                keccak256(abi.encodePacked(s.amounts)),
                s.nonce,
                s.expiry
            )
        );
    }

    function _signed(uint256 key, Split memory s) private view returns (bytes memory) {
        return _sign(key, _digest("PED Escrow", block.chainid, address(escrow), _hash(s)));
    }

    function test_a_split_reaches_members_who_withdraw_it() public {
        Split memory split = _split(50);
        bytes memory signature = _signed(HILL_OWNER_KEY, split);
        assertEq(escrow.hashSplit(split), _digest("PED Escrow", block.chainid, address(escrow), _hash(split)));
        warpTo(START + 100);
        vm.prank(publisher);
        vm.expectEmit(address(escrow));
        emit IEscrow.SplitPaid(HILL_OWNERS, MEMBER_SPLIT, split.recipients, split.amounts);
        escrow.paySplit(split, signature);
        assertEq(escrow.free(HILL_OWNERS), WEALTH - 150);
        assertEq(escrow.free(accountOf(member)), 50);
        assertEq(escrow.free(accountOf(stranger)), 100);

        vm.startPrank(member);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.InsufficientFree.selector, accountOf(member), 50, 51));
        escrow.withdrawShare(51, member);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.NotTreasurer.selector, member, accountOf(member)));
        escrow.withdraw(accountOf(member), 50, member);
        escrow.withdrawShare(50, hillOwner);
        vm.stopPrank();
        assertEq(token.balanceOf(hillOwner), 50);

        vm.expectRevert(abi.encodeWithSelector(IEscrow.SplitUsed.selector, escrow.hashSplit(split)));
        escrow.paySplit(split, signature);
        // The same with another nonce is another one.
        split.nonce = 2;
        escrow.paySplit(split, _signed(HILL_OWNER_KEY, split));
        assertEq(escrow.free(accountOf(stranger)), 200);
    }

    function _refuseSplit(Split memory split, bytes memory signature, bytes4 selector) private {
        vm.expectPartialRevert(selector);
        escrow.paySplit(split, signature);
    }

    function test_refuses_splits() public {
        Split memory split = _split(50);
        bytes memory right = _signed(HILL_OWNER_KEY, split);
        bytes32 structHash = _hash(split);
        bytes4 wrongSigner = IEscrow.SplitSigner.selector;

        _refuseSplit(split, _signed(OWNER_KEY, split), wrongSigner);
        _refuseSplit(split, _signed(0xBAD, split), wrongSigner);
        _refuseSplit(split, "", wrongSigner);
        bytes32 otherChain = _digest("PED Escrow", block.chainid + 1, address(escrow), structHash);
        _refuseSplit(split, _sign(HILL_OWNER_KEY, otherChain), wrongSigner);
        bytes32 otherContract = _digest("PED Escrow", block.chainid, marketAddress, structHash);
        _refuseSplit(split, _sign(HILL_OWNER_KEY, otherContract), wrongSigner);
        bytes32 otherName = _digest("PED Market", block.chainid, address(escrow), structHash);
        _refuseSplit(split, _sign(HILL_OWNER_KEY, otherName), wrongSigner);
        split.amounts[0] = 51;
        _refuseSplit(split, right, wrongSigner);
        split.organisationId = 0;
        _refuseSplit(split, "", wrongSigner);

        split = _split(50);
        split.amounts = new uint128[](1);
        _refuseSplit(split, _signed(HILL_OWNER_KEY, split), IEscrow.SplitLengths.selector);
        (split.recipients, split.amounts) = (new address[](0), new uint128[](0));
        _refuseSplit(split, _signed(HILL_OWNER_KEY, split), IEscrow.SplitLengths.selector);
        split = _split(50);
        split.recipients[1] = address(0);
        _refuseSplit(split, _signed(HILL_OWNER_KEY, split), IEscrow.UnknownAccount.selector);
        split = _split(uint128(WEALTH / 3 + 1));
        _refuseSplit(split, _signed(HILL_OWNER_KEY, split), IEscrow.InsufficientFree.selector);
        split = _split(type(uint128).max / 2);
        _refuseSplit(split, _signed(HILL_OWNER_KEY, split), IEscrow.InsufficientFree.selector);

        split = _split(50);
        warpTo(START + 101);
        vm.expectRevert(abi.encodeWithSelector(IEscrow.SplitExpired.selector, START + 100));
        escrow.paySplit(split, right);
        warpTo(START + 100);
        vm.startPrank(administrator);
        registry.dismiss(hillOwner, registry.DISTRICT_OWNER());
        vm.stopPrank();
        _refuseSplit(split, right, wrongSigner);
        assertEq(escrow.free(HILL_OWNERS), WEALTH);
    }
}
