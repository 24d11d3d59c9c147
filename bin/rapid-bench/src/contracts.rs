//! The benchmark contracts: creation code from the committed artifacts, and the calls the workloads make.

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, Bytes, U256, hex, keccak256};
use eyre::{OptionExt, WrapErr};
use serde_json::Value;

const TOKEN: &str = include_str!("../contracts/artifacts/Token.json");
const PAIR: &str = include_str!("../contracts/artifacts/Pair.json");

/// Whole supply of each benchmark token, in its smallest unit: enough for any sender count and a deep pair, and far
/// below the pair's 112-bit reserves.
pub(crate) const TOKEN_SUPPLY: u128 = 1_000_000_000_000_000_000_000_000_000_000;

/// Creation transaction data of a token with the given name and symbol.
///
/// # Errors
/// If the committed artifact is not what the compiler script writes.
pub(crate) fn token_creation(name: &str, symbol: &str) -> eyre::Result<Bytes> {
    let arguments = DynSolValue::Tuple(vec![
        DynSolValue::String(name.to_owned()),
        DynSolValue::String(symbol.to_owned()),
        number(TOKEN_SUPPLY),
    ]);
    creation(TOKEN, &arguments.abi_encode_params())
}

/// Creation transaction data of a pair over two tokens.
///
/// # Errors
/// If the committed artifact is not what the compiler script writes.
pub(crate) fn pair_creation(token0: Address, token1: Address) -> eyre::Result<Bytes> {
    let arguments = DynSolValue::Tuple(vec![token0.into(), token1.into()]);
    creation(PAIR, &arguments.abi_encode_params())
}

/// `Token.transfer(to, value)`.
pub(crate) fn transfer(to: Address, value: u128) -> Bytes {
    call("transfer(address,uint256)", vec![to.into(), number(value)])
}

/// `Token.approve(spender, value)` with the unlimited value.
pub(crate) fn approve_all(spender: Address) -> Bytes {
    call(
        "approve(address,uint256)",
        vec![spender.into(), DynSolValue::Uint(U256::MAX, 256)],
    )
}

/// `Pair.sync()`.
pub(crate) fn sync() -> Bytes {
    call("sync()", Vec::new())
}

/// Which token of the pair a swap sells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sell {
    /// Sells token 0 for token 1.
    Token0,
    /// Sells token 1 for token 0.
    Token1,
}

/// `Pair.swap(..)` without a lower limit on what comes out.
pub(crate) fn swap(sell: Sell, amount: u128) -> Bytes {
    let arguments = vec![DynSolValue::Bool(sell == Sell::Token0), number(amount), number(0)];
    call("swap(bool,uint256,uint256)", arguments)
}

/// `Numbers.multiply(size)`: multiplies two matrices of so many rows and columns, in memory.
pub(crate) fn matrix_product(size: u64) -> Bytes {
    call("multiply(uint256)", vec![number(size.into())])
}

/// `Numbers.hashes(count)`: hashes each of the first numbers.
pub(crate) fn hashes(count: u64) -> Bytes {
    call("hashes(uint256)", vec![number(count.into())])
}

fn number(value: u128) -> DynSolValue {
    DynSolValue::Uint(U256::from(value), 256)
}

fn call(signature: &str, arguments: Vec<DynSolValue>) -> Bytes {
    let mut data = keccak256(signature)[..4].to_vec();
    data.extend(DynSolValue::Tuple(arguments).abi_encode_params());
    data.into()
}

fn creation(artifact: &str, arguments: &[u8]) -> eyre::Result<Bytes> {
    let artifact: Value = serde_json::from_str(artifact).wrap_err("contract artifact")?;
    let code = artifact["bytecode"]
        .as_str()
        .ok_or_eyre("contract artifact without bytecode")?;
    let mut data = hex::decode(code).wrap_err("contract bytecode")?;
    data.extend_from_slice(arguments);
    Ok(data.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every call that is encoded here exists in the artifact's interface.
    #[test]
    fn calls_are_in_the_interface() {
        let selectors = |artifact: &str| -> Vec<[u8; 4]> {
            let artifact: Value = serde_json::from_str(artifact).unwrap();
            let functions = artifact["abi"].as_array().unwrap().clone();
            functions
                .iter()
                .filter(|entry| entry["type"] == "function")
                .map(|entry| {
                    let inputs: Vec<_> = entry["inputs"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|i| i["type"].as_str().unwrap())
                        .collect();
                    let signature = format!("{}({})", entry["name"].as_str().unwrap(), inputs.join(","));
                    keccak256(signature)[..4].try_into().unwrap()
                })
                .collect()
        };
        let token = selectors(TOKEN);
        let pair = selectors(PAIR);
        for data in [transfer(Address::ZERO, 1), approve_all(Address::ZERO)] {
            assert!(token.contains(data[..4].try_into().unwrap()));
        }
        for data in [sync(), swap(Sell::Token0, 1)] {
            assert!(pair.contains(data[..4].try_into().unwrap()));
        }
    }

    #[test]
    fn swap_names_the_token_it_sells() {
        assert_eq!(swap(Sell::Token0, 1)[35], 1);
        assert_eq!(swap(Sell::Token1, 1)[35], 0);
    }
}
