// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Numbers in memory: products of matrices, sorting.
contract Numbers {
    /// Sum of the elements of a product of two matrices.
    function multiply(uint256 size) external pure returns (int256 sum) {
        int256[][] memory a = matrix(size, 17);
        int256[][] memory b = matrix(size, 31);
        for (uint256 i = 0; i < size; ++i) {
            for (uint256 j = 0; j < size; ++j) {
                int256 element;
                for (uint256 k = 0; k < size; ++k) {
                    element += a[i][k] * b[k][j];
                }
                sum += element;
            }
        }
    }

    function matrix(uint256 size, uint256 step) private pure returns (int256[][] memory rows) {
        rows = new int256[][](size);
        for (uint256 i = 0; i < size; ++i) {
            rows[i] = new int256[](size);
            for (uint256 j = 0; j < size; ++j) {
                rows[i][j] = int256((i * size + j) * step % 251) - 125;
            }
        }
    }

    /// Sorts pseudo-random numbers; returns the middle one.
    function sort(uint256 count) external pure returns (uint256) {
        uint256[] memory values = new uint256[](count);
        uint256 x = 88172645463325252;
        for (uint256 i = 0; i < count; ++i) {
            x ^= (x << 13) & type(uint64).max;
            x ^= x >> 7;
            x ^= (x << 17) & type(uint64).max;
            values[i] = x;
        }
        quicksort(values, 0, int256(count) - 1);
        for (uint256 i = 1; i < count; ++i) require(values[i - 1] <= values[i], "order");
        return values[count / 2];
    }

    function quicksort(uint256[] memory values, int256 left, int256 right) private pure {
        if (left >= right) return;
        int256 i = left;
        int256 j = right;
        uint256 pivot = values[uint256(left + (right - left) / 2)];
        while (i <= j) {
            while (values[uint256(i)] < pivot) i++;
            while (pivot < values[uint256(j)]) j--;
            if (i <= j) {
                (values[uint256(i)], values[uint256(j)]) = (values[uint256(j)], values[uint256(i)]);
                i++;
                j--;
            }
        }
        quicksort(values, left, j);
        quicksort(values, i, right);
    }

    /// Hashes of encoded numbers.
    function hashes(uint256 count) external pure returns (bytes32 last) {
        for (uint256 i = 0; i < count; ++i) {
            last = keccak256(abi.encodePacked(i));
        }
    }

    /// SHA-256 by the precompile, each of the last.
    function sha(uint256 count) external pure returns (bytes32 last) {
        for (uint256 i = 0; i < count; ++i) {
            last = sha256(abi.encodePacked(last, i));
        }
    }

    /// Recovers signers of one signature over many digests.
    function recover(uint256 count) external pure returns (uint160 sum) {
        bytes32 r = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;
        unchecked {
            for (uint256 i = 1; i <= count; ++i) {
                sum += uint160(ecrecover(bytes32(i), 27, r, bytes32(i)));
            }
        }
    }
}

/// Points of secp256k1 by MULMOD and ADDMOD.
contract Curve {
    uint256 private constant P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
    uint256 private constant GX = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798;
    uint256 private constant GY = 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8;

    /// `scalar` times the generator: Jacobian coordinates, one inversion at the end.
    function multiply(uint256 scalar) external pure returns (uint256, uint256) {
        (uint256 x, uint256 y, uint256 z) = (0, 1, 0);
        for (uint256 bit = 256; bit > 0; --bit) {
            (x, y, z) = double(x, y, z);
            if ((scalar >> (bit - 1)) & 1 == 1) (x, y, z) = addGenerator(x, y, z);
        }
        uint256 inverse = power(z, P - 2);
        uint256 square = mulmod(inverse, inverse, P);
        return (mulmod(x, square, P), mulmod(y, mulmod(square, inverse, P), P));
    }

    function double(uint256 x, uint256 y, uint256 z) private pure returns (uint256, uint256, uint256) {
        uint256 yy = mulmod(y, y, P);
        uint256 s = mulmod(4, mulmod(x, yy, P), P);
        uint256 m = mulmod(3, mulmod(x, x, P), P);
        uint256 x3 = addmod(mulmod(m, m, P), P - mulmod(2, s, P), P);
        uint256 y3 = addmod(mulmod(m, addmod(s, P - x3, P), P), P - mulmod(8, mulmod(yy, yy, P), P), P);
        return (x3, y3, mulmod(2, mulmod(y, z, P), P));
    }

    function addGenerator(uint256 x, uint256 y, uint256 z) private pure returns (uint256, uint256, uint256) {
        if (z == 0) return (GX, GY, 1);
        uint256 zz = mulmod(z, z, P);
        uint256 h = addmod(mulmod(GX, zz, P), P - x, P);
        uint256 r = addmod(mulmod(GY, mulmod(zz, z, P), P), P - y, P);
        uint256 hh = mulmod(h, h, P);
        uint256 hhh = mulmod(h, hh, P);
        uint256 v = mulmod(x, hh, P);
        uint256 x3 = addmod(addmod(mulmod(r, r, P), P - hhh, P), P - mulmod(2, v, P), P);
        uint256 y3 = addmod(mulmod(r, addmod(v, P - x3, P), P), P - mulmod(y, hhh, P), P);
        return (x3, y3, mulmod(z, h, P));
    }

    function power(uint256 base, uint256 exponent) private pure returns (uint256 result) {
        result = 1;
        while (exponent > 0) {
            if (exponent & 1 == 1) result = mulmod(result, base, P);
            base = mulmod(base, base, P);
            exponent >>= 1;
        }
    }
}
