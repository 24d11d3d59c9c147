// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Liquidity in ranges of ticks: prices are square roots in Q64.96, amounts need products of 512 bits.
contract ConcentratedLiquidity {
    event Swapped(address indexed sender, int256 amount0, int256 amount1, uint160 price, uint128 liquidity, int24 tick);

    uint256 private constant Q96 = 1 << 96;
    int24 private constant TICK_MAX = 887272;
    uint256 private constant FEE = 3000;
    int24 private constant SPACING = 60;

    uint160 public price;
    int24 public tick;
    uint128 public liquidity;
    uint256 public feeGrowth;
    mapping(int16 => uint256) private bitmap;
    mapping(int24 => int128) private netLiquidity;

    /// Positions of `amount` around the price, each twice as wide as the one before.
    function open(int24 start, uint256 positions, uint128 amount) external {
        tick = start;
        price = uint160(sqrtPriceAt(start));
        int24 width = SPACING;
        for (uint256 i = 0; i < positions; ++i) {
            int24 lower = (start / SPACING) * SPACING - width;
            int24 upper = (start / SPACING) * SPACING + width;
            netLiquidity[lower] += int128(amount);
            netLiquidity[upper] -= int128(amount);
            flip(lower);
            flip(upper);
            liquidity += amount;
            width *= 2;
        }
    }

    struct Step {
        int24 next;
        bool initialized;
        uint160 target;
        uint256 amountIn;
        uint256 amountOut;
        uint256 fee;
    }

    /// Sells `amount` of one token.
    function swap(bool zeroForOne, uint256 amount) public returns (uint256 sold, uint256 bought) {
        uint256 left = amount;
        uint160 current = price;
        int24 position = tick;
        uint128 active = liquidity;
        Step memory step;
        while (left > 0 && active > 0) {
            (step.next, step.initialized) = nextTick(position, zeroForOne);
            step.target = uint160(sqrtPriceAt(step.next));
            (current, step.amountIn, step.amountOut, step.fee) = swapStep(current, step.target, active, left);
            left -= step.amountIn + step.fee;
            bought += step.amountOut;
            feeGrowth += mulDiv(step.fee, 1 << 128, active);
            if (current == step.target) {
                if (step.initialized) {
                    int128 net = netLiquidity[step.next];
                    active = uint128(int128(active) + (zeroForOne ? -net : net));
                }
                position = zeroForOne ? step.next - 1 : step.next;
            } else {
                position = tickAt(current);
            }
        }
        sold = amount - left;
        price = current;
        tick = position;
        liquidity = active;
        (int256 amount0, int256 amount1) =
            zeroForOne ? (int256(sold), -int256(bought)) : (-int256(bought), int256(sold));
        emit Swapped(msg.sender, amount0, amount1, current, active, position);
    }

    /// Swaps to and fro.
    function run(uint256 count, uint256 amount) external {
        for (uint256 i = 0; i < count; ++i) {
            swap(i % 2 == 0, amount + i);
        }
    }

    function swapStep(uint160 current, uint160 target, uint128 active, uint256 left)
        internal
        pure
        returns (uint160 next, uint256 amountIn, uint256 amountOut, uint256 fee)
    {
        bool zeroForOne = current >= target;
        uint256 taxed = mulDiv(left, 1e6 - FEE, 1e6);
        amountIn = zeroForOne ? needed0(target, current, active, true) : needed1(current, target, active, true);
        if (taxed >= amountIn) {
            next = target;
        } else {
            next = zeroForOne ? priceAfter0(current, active, taxed) : priceAfter1(current, active, taxed);
            amountIn = zeroForOne ? needed0(next, current, active, true) : needed1(current, next, active, true);
        }
        amountOut = zeroForOne ? needed1(next, current, active, false) : needed0(current, next, active, false);
        fee = next != target ? left - amountIn : mulDivUp(amountIn, FEE, 1e6 - FEE);
    }

    function priceAfter0(uint160 current, uint128 active, uint256 amount) private pure returns (uint160) {
        uint256 scaled = uint256(active) << 96;
        return uint160(mulDivUp(scaled, current, scaled + amount * current));
    }

    function priceAfter1(uint160 current, uint128 active, uint256 amount) private pure returns (uint160) {
        return uint160(current + mulDiv(amount, Q96, active));
    }

    function needed0(uint160 low, uint160 high, uint128 active, bool up) private pure returns (uint256) {
        uint256 scaled = uint256(active) << 96;
        uint256 difference = high - low;
        return up
            ? (mulDivUp(scaled, difference, high) + low - 1) / low
            : mulDiv(scaled, difference, high) / low;
    }

    function needed1(uint160 low, uint160 high, uint128 active, bool up) private pure returns (uint256) {
        return up ? mulDivUp(active, high - low, Q96) : mulDiv(active, high - low, Q96);
    }

    function flip(int24 position) private {
        int24 index = position / SPACING;
        bitmap[int16(index >> 8)] ^= 1 << uint8(uint24(index));
    }

    function nextTick(int24 position, bool down) private view returns (int24 next, bool initialized) {
        int24 index = position / SPACING;
        if (position < 0 && position % SPACING != 0) index--;
        if (down) {
            uint8 bit = uint8(uint24(index));
            uint256 masked = bitmap[int16(index >> 8)] & (type(uint256).max >> (255 - bit));
            initialized = masked != 0;
            index = initialized ? index - int24(uint24(bit - msb(masked))) : index - int24(uint24(bit));
        } else {
            index++;
            uint8 bit = uint8(uint24(index));
            uint256 masked = bitmap[int16(index >> 8)] & (type(uint256).max << bit);
            initialized = masked != 0;
            uint8 found = initialized ? msb(masked & (~masked + 1)) : 255;
            index += int24(uint24(found - bit));
        }
        next = index * SPACING;
    }

    function msb(uint256 x) private pure returns (uint8 bit) {
        unchecked {
            if (x >= 1 << 128) (x, bit) = (x >> 128, bit + 128);
            if (x >= 1 << 64) (x, bit) = (x >> 64, bit + 64);
            if (x >= 1 << 32) (x, bit) = (x >> 32, bit + 32);
            if (x >= 1 << 16) (x, bit) = (x >> 16, bit + 16);
            if (x >= 1 << 8) (x, bit) = (x >> 8, bit + 8);
            if (x >= 1 << 4) (x, bit) = (x >> 4, bit + 4);
            if (x >= 1 << 2) (x, bit) = (x >> 2, bit + 2);
            if (x >= 1 << 1) bit += 1;
        }
    }

    /// The last tick whose price is not above the given one, by halving the range: 21 prices.
    function tickAt(uint160 wanted) private pure returns (int24 low) {
        low = -TICK_MAX;
        int24 high = TICK_MAX;
        while (low < high) {
            int24 middle = low + (high - low + 1) / 2;
            if (sqrtPriceAt(middle) <= wanted) low = middle;
            else high = middle - 1;
        }
    }

    /// sqrt(1.0001 ^ position) in Q64.96: one factor for each bit of the tick.
    function sqrtPriceAt(int24 position) public pure returns (uint256) {
        uint256 a = position < 0 ? uint256(-int256(position)) : uint256(int256(position));
        require(a <= uint24(TICK_MAX), "tick");
        unchecked {
        uint256 ratio = 1 << 128;
        if (a & 0x1 != 0) ratio = (ratio * 0xfffcb933bd6fad37aa2d162d1a594001) >> 128;
        if (a & 0x2 != 0) ratio = (ratio * 0xfff97272373d413259a46990580e2139) >> 128;
        if (a & 0x4 != 0) ratio = (ratio * 0xfff2e50f5f656932ef12357cf3c7fdcb) >> 128;
        if (a & 0x8 != 0) ratio = (ratio * 0xffe5caca7e10e4e61c3624eaa0941ccf) >> 128;
        if (a & 0x10 != 0) ratio = (ratio * 0xffcb9843d60f6159c9db58835c926643) >> 128;
        if (a & 0x20 != 0) ratio = (ratio * 0xff973b41fa98c081472e6896dfb254bf) >> 128;
        if (a & 0x40 != 0) ratio = (ratio * 0xff2ea16466c96a3843ec78b326b52860) >> 128;
        if (a & 0x80 != 0) ratio = (ratio * 0xfe5dee046a99a2a811c461f1969c3052) >> 128;
        if (a & 0x100 != 0) ratio = (ratio * 0xfcbe86c7900a88aedcffc83b479aa3a3) >> 128;
        if (a & 0x200 != 0) ratio = (ratio * 0xf987a7253ac413176f2b074cf7815e53) >> 128;
        if (a & 0x400 != 0) ratio = (ratio * 0xf3392b0822b70005940c7a398e4b70f2) >> 128;
        if (a & 0x800 != 0) ratio = (ratio * 0xe7159475a2c29b7443b29c7fa6e889d8) >> 128;
        if (a & 0x1000 != 0) ratio = (ratio * 0xd097f3bdfd2022b8845ad8f792aa5825) >> 128;
        if (a & 0x2000 != 0) ratio = (ratio * 0xa9f746462d870fdf8a65dc1f90e061e4) >> 128;
        if (a & 0x4000 != 0) ratio = (ratio * 0x70d869a156d2a1b890bb3df62baf32f6) >> 128;
        if (a & 0x8000 != 0) ratio = (ratio * 0x31be135f97d08fd981231505542fcfa5) >> 128;
        if (a & 0x10000 != 0) ratio = (ratio * 0x9aa508b5b7a84e1c677de54f3e99bc8) >> 128;
        if (a & 0x20000 != 0) ratio = (ratio * 0x5d6af8dedb81196699c329225ee604) >> 128;
        if (a & 0x40000 != 0) ratio = (ratio * 0x2216e584f5fa1ea926041bedfe97) >> 128;
        if (a & 0x80000 != 0) ratio = (ratio * 0x48a170391f7dc42444e8fa2) >> 128;
        if (position > 0) ratio = type(uint256).max / ratio;
        return (ratio >> 32) + (ratio % (1 << 32) == 0 ? 0 : 1);
        }
    }

    function mulDivUp(uint256 a, uint256 b, uint256 c) private pure returns (uint256 result) {
        result = mulDiv(a, b, c);
        if (mulmod(a, b, c) > 0) result++;
    }

    /// a * b / c with a product of 512 bits: the odd part of `c` is inverted modulo 2^256 by Newton's method.
    function mulDiv(uint256 a, uint256 b, uint256 c) private pure returns (uint256) {
        unchecked {
            uint256 low = a * b;
            uint256 mm = mulmod(a, b, type(uint256).max);
            uint256 high = mm - low - (mm < low ? 1 : 0);
            require(high < c, "mulDiv");
            if (high == 0) return low / c;
            uint256 remainder = mulmod(a, b, c);
            high -= remainder > low ? 1 : 0;
            low -= remainder;
            uint256 twos = c & (~c + 1);
            c /= twos;
            low /= twos;
            low |= high * ((~twos + 1) / twos + 1);
            uint256 inverse = (3 * c) ^ 2;
            inverse *= 2 - c * inverse;
            inverse *= 2 - c * inverse;
            inverse *= 2 - c * inverse;
            inverse *= 2 - c * inverse;
            inverse *= 2 - c * inverse;
            inverse *= 2 - c * inverse;
            return low * inverse;
        }
    }
}
