// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Integer inference: weights lie as bytes in the code of other contracts, as large models on chain keep them.
contract Inference {
    address[] private layers;
    uint256 private size;

    constructor(uint256 size_, address[] memory layers_) {
        size = size_;
        layers = layers_;
    }

    /// Runs a vector through all layers `tokens` times; returns the index of its largest element.
    function run(uint256 tokens) external view returns (uint256 best) {
        uint256 n = size;
        int256[] memory state = new int256[](n);
        for (uint256 i = 0; i < n; ++i) state[i] = int256(i % 7) - 3;
        for (uint256 token = 0; token < tokens; ++token) {
            for (uint256 layer = 0; layer < layers.length; ++layer) {
                state = applyLayer(layers[layer], state);
            }
            for (uint256 i = 0; i < n; ++i) {
                if (state[i] > state[best]) best = i;
            }
            state[best] += 1;
        }
    }

    function applyLayer(address layer, int256[] memory state) private view returns (int256[] memory next) {
        uint256 n = state.length;
        next = new int256[](n);
        bytes memory weights = new bytes(n * n);
        assembly {
            extcodecopy(layer, add(weights, 32), 1, mul(n, n))
        }
        for (uint256 row = 0; row < n; ++row) {
            int256 sum;
            unchecked {
                for (uint256 column = 0; column < n; ++column) {
                    sum += int256(int8(uint8(weights[row * n + column]))) * state[column];
                }
            }
            sum >>= 5;
            // A kink at zero, and a bound.
            if (sum < 0) sum /= 8;
            if (sum > 127) sum = 127;
            next[row] = sum;
        }
    }
}
