// Sources that nobody would write by hand: many functions, much code.

const head = "// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity ^0.8.30;\n";

/// `count` functions that differ in constants, and one that is cheap.
function manyFunctions(name, count, body) {
  const functions = Array.from({ length: count }, (_, index) => body(index)).join("\n");
  return `${head}
contract ${name} {
    mapping(uint256 => uint256) private values;
    event Changed(uint256 indexed key, uint256 value);

    function cheap(uint256 x) external pure returns (uint256) {
        return x + 1;
    }

${functions}
}
`;
}

const small = (index) => `    function f${index}(uint256 x) external pure returns (uint256) {
        unchecked { return (x ^ ${(index * 2654435761) % 4294967296}) + ${index}; }
    }`;

const large = (index) => `    function g${index}(uint256 x, address who) external returns (uint256 y) {
        y = x * ${index + 3} + uint160(who);
        require(y > ${index}, "too small: ${index}");
        for (uint256 i = 0; i < ${(index % 5) + 2}; ++i) {
            y = y / ${index + 2} + values[y % ${index + 11}];
        }
        values[x] = y;
        emit Changed(x, y);
    }`;

export const generated = {
  "Dispatch.sol": manyFunctions("Dispatch", 120, small),
  "Large24.sol": manyFunctions("Large24", LARGE_24(), large),
  "Large48.sol": manyFunctions("Large48", 2 * LARGE_24(), large),
};

/// Functions of the large kind that fill the limit of EIP-170.
function LARGE_24() {
  return 108;
}
