//! Compiled contracts and the encoding of their calls.

use alloy_primitives::{Address, Bytes, U256, hex, keccak256};
use eyre::WrapErr;

/// Creation code of a contract of `contracts/jit`, as text.
macro_rules! artifact {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/contracts/jit/artifacts/",
            $name,
            ".hex"
        ))
    };
}
pub(super) use artifact;

/// An argument of a call.
#[derive(Clone, Debug)]
pub(super) enum Argument {
    /// One word.
    Word(U256),
    /// A list of words.
    List(Vec<U256>),
}

impl From<u64> for Argument {
    fn from(number: u64) -> Self {
        Self::Word(U256::from(number))
    }
}

impl From<U256> for Argument {
    fn from(number: U256) -> Self {
        Self::Word(number)
    }
}

impl From<Address> for Argument {
    fn from(address: Address) -> Self {
        Self::Word(word(address))
    }
}

/// An address as a word.
pub(super) fn word(address: Address) -> U256 {
    U256::from_be_slice(address.as_slice())
}

/// Creation code with the constructor's arguments.
///
/// # Errors
/// If the text is not hex.
pub(super) fn creation(artifact: &str, arguments: &[Argument]) -> eyre::Result<Bytes> {
    let mut code = hex::decode(artifact.trim()).wrap_err("contract artifact")?;
    encode(&mut code, arguments);
    Ok(code.into())
}

/// Input of a call of a function with this signature.
pub(super) fn input(signature: &str, arguments: &[Argument]) -> Bytes {
    let mut data = keccak256(signature)[..4].to_vec();
    encode(&mut data, arguments);
    data.into()
}

/// Heads, then the lists in order.
fn encode(output: &mut Vec<u8>, arguments: &[Argument]) {
    let mut put = |word: U256| output.extend(word.to_be_bytes::<32>());
    let mut tail = 32 * arguments.len();
    for argument in arguments {
        match argument {
            Argument::Word(word) => put(*word),
            Argument::List(words) => {
                put(U256::from(tail));
                tail += 32 * (1 + words.len());
            }
        }
    }
    for argument in arguments {
        if let Argument::List(words) = argument {
            put(U256::from(words.len()));
            words.iter().for_each(|word| put(*word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_dyn_abi::DynSolValue;

    #[test]
    fn encodes_as_the_abi_says() {
        let numbers = |count: u64| (1..=count).map(U256::from).collect::<Vec<_>>();
        let arguments = [
            7.into(),
            Argument::List(numbers(3)),
            Argument::List(numbers(0)),
            9.into(),
        ];
        let list = |count| {
            let numbers = numbers(count).into_iter();
            DynSolValue::Array(numbers.map(|number| DynSolValue::Uint(number, 256)).collect())
        };
        let number = |number: u64| DynSolValue::Uint(U256::from(number), 256);
        let expected = DynSolValue::Tuple(vec![number(7), list(3), list(0), number(9)]).abi_encode_params();
        let mut got = Vec::new();
        encode(&mut got, &arguments);
        assert_eq!(got, expected);
    }
}
