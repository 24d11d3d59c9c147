// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface Token {
    function balanceOf(address owner) external view returns (uint256);
    function transfer(address to, uint256 value) external returns (bool);
    function transferFrom(address from, address to, uint256 value) external returns (bool);
}

/// A pair of tokens whose reserves' product never falls; a fee of 0.3 % stays in it.
contract ConstantProductPair {
    event Swap(address indexed sender, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to);
    event Sync(uint112 reserve0, uint112 reserve1);

    Token public immutable token0;
    Token public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;
    uint32 private updated;
    uint256 public price0Cumulative;
    uint256 public price1Cumulative;
    uint256 private entered;

    modifier once() {
        require(entered == 0, "reentered");
        entered = 1;
        _;
        entered = 0;
    }

    constructor(Token token0_, Token token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    function reserves() public view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, updated);
    }

    /// Takes what was sent to the pair as its reserves.
    function sync() external once {
        update(token0.balanceOf(address(this)), token1.balanceOf(address(this)), reserve0, reserve1);
    }

    /// Pays out; what has to be paid in was sent before.
    function swap(uint256 out0, uint256 out1, address to) external once {
        require(out0 > 0 || out1 > 0, "nothing out");
        (uint112 before0, uint112 before1,) = reserves();
        require(out0 < before0 && out1 < before1, "reserves");
        require(to != address(token0) && to != address(token1), "to");
        if (out0 > 0) require(token0.transfer(to, out0), "transfer 0");
        if (out1 > 0) require(token1.transfer(to, out1), "transfer 1");
        uint256 balance0 = token0.balanceOf(address(this));
        uint256 balance1 = token1.balanceOf(address(this));
        uint256 in0 = balance0 > before0 - out0 ? balance0 - (before0 - out0) : 0;
        uint256 in1 = balance1 > before1 - out1 ? balance1 - (before1 - out1) : 0;
        require(in0 > 0 || in1 > 0, "nothing in");
        uint256 adjusted0 = balance0 * 1000 - in0 * 3;
        uint256 adjusted1 = balance1 * 1000 - in1 * 3;
        require(adjusted0 * adjusted1 >= uint256(before0) * before1 * 1000 ** 2, "product");
        update(balance0, balance1, before0, before1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }

    function update(uint256 balance0, uint256 balance1, uint112 before0, uint112 before1) private {
        require(balance0 <= type(uint112).max && balance1 <= type(uint112).max, "overflow");
        uint32 time = uint32(block.timestamp);
        unchecked {
            uint32 elapsed = time - updated;
            if (elapsed > 0 && before0 != 0 && before1 != 0) {
                price0Cumulative += ((uint256(before1) << 112) / before0) * elapsed;
                price1Cumulative += ((uint256(before0) << 112) / before1) * elapsed;
            }
        }
        reserve0 = uint112(balance0);
        reserve1 = uint112(balance1);
        updated = time;
        emit Sync(reserve0, reserve1);
    }
}

/// Swaps along a path of pairs.
contract ConstantProductRouter {
    modifier before(uint256 deadline) {
        require(block.timestamp <= deadline, "expired");
        _;
    }

    function amountOut(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) public pure returns (uint256) {
        require(amountIn > 0 && reserveIn > 0 && reserveOut > 0, "amounts");
        uint256 taxed = amountIn * 997;
        return (taxed * reserveOut) / (reserveIn * 1000 + taxed);
    }

    /// `pairs[i]` swaps the token that `pairs[i - 1]` paid out, or `token` first.
    function swap(
        uint256 amountIn,
        uint256 amountOutMin,
        Token token,
        ConstantProductPair[] calldata pairs,
        address to,
        uint256 deadline
    ) external before(deadline) returns (uint256 amount) {
        require(token.transferFrom(msg.sender, address(pairs[0]), amountIn), "transferFrom");
        amount = amountIn;
        for (uint256 i = 0; i < pairs.length; ++i) {
            ConstantProductPair pair = pairs[i];
            bool zeroForOne = address(pair.token0()) == address(token);
            (uint112 reserve0, uint112 reserve1,) = pair.reserves();
            address next = i + 1 < pairs.length ? address(pairs[i + 1]) : to;
            if (zeroForOne) {
                amount = amountOut(amount, reserve0, reserve1);
                pair.swap(0, amount, next);
                token = pair.token1();
            } else {
                amount = amountOut(amount, reserve1, reserve0);
                pair.swap(amount, 0, next);
                token = pair.token0();
            }
        }
        require(amount >= amountOutMin, "too little");
    }
}
