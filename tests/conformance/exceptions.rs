//! Cases that are known to fail, and why. Whoever adds one names a rule, never a single case.

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
