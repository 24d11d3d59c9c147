// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// A token with checked arithmetic and the usual events.
contract Erc20 {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    error InsufficientBalance(address owner, uint256 balance, uint256 needed);
    error InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
    error InvalidAddress(address account);

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;
    string public name = "Token of the compiler's benchmark";
    string public symbol = "TOK";
    uint8 public constant decimals = 18;

    function mint(address to, uint256 value) external {
        totalSupply += value;
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        move(msg.sender, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        if (spender == address(0)) revert InvalidAddress(spender);
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            if (allowed < value) revert InsufficientAllowance(msg.sender, allowed, value);
            allowance[from][msg.sender] = allowed - value;
        }
        move(from, to, value);
        return true;
    }

    function move(address from, address to, uint256 value) internal {
        if (to == address(0)) revert InvalidAddress(to);
        uint256 balance = balanceOf[from];
        if (balance < value) revert InsufficientBalance(from, balance, value);
        unchecked {
            balanceOf[from] = balance - value;
            balanceOf[to] += value;
        }
        emit Transfer(from, to, value);
    }
}

/// Many transfers in one call, each to another holder.
contract Erc20Loop is Erc20 {
    function run(uint256 count) external {
        totalSupply += count * count;
        balanceOf[msg.sender] += count * count;
        for (uint256 i = 1; i <= count; ++i) {
            move(msg.sender, address(uint160(i)), i);
        }
    }
}

/// Tokens from one sender to a list of holders, through the token's own interface.
contract Airdrop {
    function drop(Erc20 token, address[] calldata holders, uint256[] calldata values) external {
        require(holders.length == values.length, "length");
        uint256 total;
        for (uint256 i = 0; i < values.length; ++i) {
            total += values[i];
        }
        require(token.transferFrom(msg.sender, address(this), total), "transferFrom");
        for (uint256 i = 0; i < holders.length; ++i) {
            require(token.transfer(holders[i], values[i]), "transfer");
        }
    }
}
