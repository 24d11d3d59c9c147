// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// What the factory makes.
contract Child {
    address public immutable parent;
    uint256 public immutable number;

    constructor(uint256 number_) {
        parent = msg.sender;
        number = number_;
    }

    function check(uint256 value) external view returns (uint256) {
        require(msg.sender == parent, "parent");
        return value ^ number;
    }
}

/// Creates contracts at addresses known before, and calls each.
contract Factory {
    function run(uint256 count) external returns (uint256 sum) {
        for (uint256 i = 0; i < count; ++i) {
            Child child = new Child{salt: bytes32(i)}(i);
            unchecked {
                sum += child.check(i * 3) + uint160(address(child));
            }
        }
    }
}
