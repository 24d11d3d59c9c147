//! Workloads from files.
//!
//! A file is one JSON object or a list of them:
//!
//! ```json
//! {
//!   "name": "counter",
//!   "contracts": [
//!     {"address": "0x00000000000000000000000000000000c0de0001", "code": "0x5f54600101...", "balance": "0x0",
//!      "storage": {"0x0": "0x2a"}}
//!   ],
//!   "transactions": [
//!     {"to": "0x00000000000000000000000000000000c0de0001", "data": "0x", "value": "0x0", "gas": 1000000}
//!   ]
//! }
//! ```
//!
//! `balance`, `storage`, `data`, `value` and `gas` may be left out, and so may `to`: the transaction then creates a
//! contract. An optional list `setup`, in the form of `transactions`, is run once before everything. All transactions are
//! sent by the account `0x00000000000000000000000000000000ca11e400`, which is rich; nonces and fees are not checked.

use super::workload::{Account, Call, Workload};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use eyre::WrapErr;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    Many(Vec<Fixture>),
    One(Fixture),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    name: String,
    contracts: Vec<Contract>,
    #[serde(default)]
    setup: Vec<Transaction>,
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    address: Address,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
    #[serde(default)]
    balance: U256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transaction {
    to: Option<Address>,
    #[serde(default)]
    data: Bytes,
    #[serde(default)]
    value: U256,
    gas: Option<u64>,
}

/// Reads every `.json` file of a folder, in the order of their names.
///
/// # Errors
/// If the folder or a file cannot be read, or a file has another form.
pub(crate) fn read_folder(folder: &Path) -> eyre::Result<Vec<Workload>> {
    let mut paths = fs::read_dir(folder)
        .wrap_err_with(|| format!("reading {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut workloads = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        workloads.extend(parse(&text).wrap_err_with(|| format!("fixture {}", path.display()))?);
    }
    Ok(workloads)
}

fn parse(text: &str) -> eyre::Result<Vec<Workload>> {
    let fixtures = match serde_json::from_str(text)? {
        File::One(fixture) => vec![fixture],
        File::Many(fixtures) => fixtures,
    };
    Ok(fixtures.into_iter().map(Workload::from).collect())
}

impl From<Fixture> for Workload {
    fn from(fixture: Fixture) -> Self {
        Self {
            name: fixture.name,
            accounts: fixture.contracts.into_iter().map(Account::from).collect(),
            setup: fixture.setup.into_iter().map(Call::from).collect(),
            transactions: fixture.transactions.into_iter().map(Call::from).collect(),
        }
    }
}

impl From<Contract> for Account {
    fn from(contract: Contract) -> Self {
        Self {
            address: contract.address,
            code: contract.code,
            storage: contract.storage.into_iter().collect(),
            balance: contract.balance,
        }
    }
}

impl From<Transaction> for Call {
    fn from(transaction: Transaction) -> Self {
        let mut call = match transaction.to.map_or(TxKind::Create, TxKind::Call) {
            TxKind::Create => Self::create(transaction.data),
            TxKind::Call(to) => Self::to(to, transaction.data),
        };
        call.value = transaction.value;
        call.gas = transaction.gas.unwrap_or(call.gas);
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::prepared::Prepared;

    #[test]
    fn runs_what_the_file_says() {
        let text = r#"{
            "name": "counter",
            "contracts": [{"address": "0x00000000000000000000000000000000c0de0001",
                           "code": "0x5f545f5260205ff3", "storage": {"0x0": "0x2a"}}],
            "transactions": [{"to": "0x00000000000000000000000000000000c0de0001", "gas": 100000}]
        }"#;
        let workloads = parse(text).unwrap();
        let outcome = Prepared::of(&workloads[0]).unwrap().outcome().unwrap();
        let output = outcome.result[0].output().unwrap();
        assert_eq!(U256::from_be_slice(output), U256::from(42));
        assert_eq!(workloads[0].transactions[0].gas, 100_000);
    }

    #[test]
    fn a_list_has_all_of_them() {
        let one = r#"{"name": "a", "contracts": [], "transactions": []}"#;
        assert_eq!(parse(&format!("[{one}, {one}]")).unwrap().len(), 2);
        assert!(parse(r#"{"name": "a", "contracts": []}"#).is_err());
    }
}
