//! Cases that are known to fail, and why. Whoever adds one names a rule, never a single case.

use alloy_primitives::U256;
use alloy_rlp::{Decodable, Header};

use crate::account::Accounts;

/// Paths of cases about contracts created where there already is storage (EIP-7610): the EVM, revm 43, looks at nonce
/// and code only. No account of mainnet is like that.
const CREATE_COLLISION: &str = "eip7610_create_collision";

/// Why this case may fail; `None` if it may not.
pub(crate) fn reason(path: &str, pre: &Accounts) -> Option<&'static str> {
    let has_storage_alone = || {
        pre.values()
            .any(crate::account::Account::is_storage_without_contract)
    };
    (path.contains(CREATE_COLLISION) || has_storage_alone())
        .then_some("EIP-7610: the EVM does not look at storage when it creates a contract")
}

/// Why a valid legacy transaction may be refused; `None` if it may not: its gas price is one that alloy's 128 bits do not
/// hold, or no account can pay its value and its gas. There is not that much ether.
pub(crate) fn unpayable(mut transaction: &[u8]) -> Option<&'static str> {
    Header::decode(&mut transaction)
        .ok()
        .filter(|header| header.list)?;
    let mut number = || U256::decode(&mut transaction).ok();
    let (_nonce, gas_price, gas_limit) = (number()?, number()?, number()?);
    Header::decode_bytes(&mut transaction, false).ok()?;
    let value = U256::decode(&mut transaction).ok()?;
    let is_payable = gas_price
        .checked_mul(gas_limit)
        .and_then(|fee| fee.checked_add(value))
        .is_some();
    (gas_price > U256::from(u128::MAX) || !is_payable).then_some("more ether than there is")
}
