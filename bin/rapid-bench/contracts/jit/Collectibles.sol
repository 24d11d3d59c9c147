// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// A non-fungible token.
contract Collectibles {
    event Transfer(address indexed from, address indexed to, uint256 indexed id);
    event Approval(address indexed owner, address indexed approved, uint256 indexed id);

    mapping(uint256 => address) private owners;
    mapping(address => uint256) private balances;
    mapping(uint256 => address) private approvals;
    mapping(uint256 => bytes32) private seeds;
    uint256 public nextId = 1;

    function mint(uint256 count) external {
        for (uint256 i = 0; i < count; ++i) {
            uint256 id = nextId++;
            require(owners[id] == address(0), "minted");
            owners[id] = msg.sender;
            balances[msg.sender] += 1;
            seeds[id] = keccak256(abi.encode(msg.sender, id, block.timestamp));
            emit Transfer(address(0), msg.sender, id);
        }
    }

    function ownerOf(uint256 id) public view returns (address owner) {
        owner = owners[id];
        require(owner != address(0), "no such token");
    }

    function transferFrom(address from, address to, uint256 id) external {
        require(ownerOf(id) == from, "owner");
        require(msg.sender == from || approvals[id] == msg.sender, "not allowed");
        delete approvals[id];
        balances[from] -= 1;
        balances[to] += 1;
        owners[id] = to;
        emit Transfer(from, to, id);
    }

    function approve(address approved, uint256 id) external {
        require(ownerOf(id) == msg.sender, "owner");
        approvals[id] = approved;
        emit Approval(msg.sender, approved, id);
    }
}
