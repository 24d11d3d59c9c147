// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// The Mandelbrot set as a picture in memory, in fixed point of 2^-64.
contract Fractal {
    int256 private constant ONE = 1 << 64;

    struct Window {
        int256 left;
        int256 top;
        int256 step;
    }

    /// One byte for each pixel; returns the picture's hash.
    function render(uint256 width, uint256 height, uint256 limit) external pure returns (bytes32) {
        bytes memory pixels = new bytes(width * height);
        Window memory window = Window(-2 * ONE, -ONE, 3 * ONE / int256(width));
        for (uint256 y = 0; y < height; ++y) {
            for (uint256 x = 0; x < width; ++x) {
                int256 re = window.left + int256(x) * window.step;
                int256 im = window.top + int256(y) * window.step;
                pixels[y * width + x] = bytes1(uint8(escape(re, im, limit) * 255 / limit));
            }
        }
        return keccak256(pixels);
    }

    function escape(int256 re, int256 im, uint256 limit) private pure returns (uint256 count) {
        int256 x;
        int256 y;
        unchecked {
            while (count < limit) {
                int256 xx = (x * x) >> 64;
                int256 yy = (y * y) >> 64;
                if (xx + yy > 4 * ONE) break;
                y = ((x * y) >> 63) + im;
                x = xx - yy + re;
                ++count;
            }
        }
    }
}
