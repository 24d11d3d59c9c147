// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// The part of EIP-20 that the pair calls.
interface IToken {
    function balanceOf(address owner) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// A constant-product exchange of two tokens: after each swap, reserve0 * reserve1 has not fallen.
///
/// The fee of 0.3 % stays in the reserves. Both reserves share one storage slot, so that a swap costs about what it
/// costs on the exchanges in use: two token calls, one packed slot, one event. Liquidity is added once, by anyone, by
/// sending tokens and calling `sync`; there are no shares, because the contract exists to be traded against.
contract Pair {
    IToken public immutable token0;
    IToken public immutable token1;

    uint112 public reserve0;
    uint112 public reserve1;

    event Swap(address indexed sender, bool zeroForOne, uint256 amountIn, uint256 amountOut);
    event Sync(uint112 reserve0, uint112 reserve1);

    error ReserveOverflow(uint256 balance);
    error TooLittleOut(uint256 amountOut, uint256 minimum);
    error TransferFailed();

    constructor(IToken token0_, IToken token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    /// Takes the token balances of this contract as its reserves.
    function sync() external {
        _store(token0.balanceOf(address(this)), token1.balanceOf(address(this)));
    }

    /// Sells `amountIn` of one token, which the caller has approved, for at least `minimumOut` of the other.
    function swap(bool zeroForOne, uint256 amountIn, uint256 minimumOut) external returns (uint256 amountOut) {
        (uint256 reserveIn, uint256 reserveOut) =
            zeroForOne ? (reserve0, reserve1) : (uint256(reserve1), uint256(reserve0));
        uint256 afterFee = amountIn * 997;
        amountOut = (afterFee * reserveOut) / (reserveIn * 1000 + afterFee);
        if (amountOut < minimumOut || amountOut == 0) revert TooLittleOut(amountOut, minimumOut);

        (IToken tokenIn, IToken tokenOut) = zeroForOne ? (token0, token1) : (token1, token0);
        if (!tokenIn.transferFrom(msg.sender, address(this), amountIn)) revert TransferFailed();
        if (!tokenOut.transfer(msg.sender, amountOut)) revert TransferFailed();

        if (zeroForOne) _store(reserveIn + amountIn, reserveOut - amountOut);
        else _store(reserveOut - amountOut, reserveIn + amountIn);
        emit Swap(msg.sender, zeroForOne, amountIn, amountOut);
    }

    function _store(uint256 balance0, uint256 balance1) private {
        if (balance0 > type(uint112).max) revert ReserveOverflow(balance0);
        if (balance1 > type(uint112).max) revert ReserveOverflow(balance1);
        reserve0 = uint112(balance0);
        reserve1 = uint112(balance1);
        emit Sync(uint112(balance0), uint112(balance1));
    }
}
