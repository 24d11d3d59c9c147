//! Contracts of the protocol, contracts that create contracts, and large ones of which little runs.

use super::artifact::{artifact, creation, input};
use crate::jit::workload::{Account, Call, Workload};
use alloy_primitives::{Address, Bytes, U256, address, hex};

/// Transactions of a block of tiny ones.
const TRANSACTIONS: usize = 100;

/// EIP-4788's contract, as the EIP gives it (CC0).
const BEACON_ROOTS: &[u8] = &hex!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff810690815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"
);
const BEACON_ROOTS_ADDRESS: Address = address!("000F3df6D732807Ef1319fB7B8bB8522d0Beac02");
/// Slots between a time and its root.
const BEACON_ROOTS_RING: u64 = 8191;

/// EIP-2935's contract, as the EIP gives it (CC0).
const BLOCK_HASHES: &[u8] = &hex!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
);
const BLOCK_HASHES_ADDRESS: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");

pub(super) fn workloads() -> eyre::Result<Vec<Workload>> {
    Ok(vec![
        beacon_roots(),
        block_hashes(),
        factory()?,
        dispatch()?,
        cheap_entry("large_24k_cheap", artifact!("Large24"))?,
        cheap_entry("large_48k_cheap", artifact!("Large48"))?,
        all_entries("large_24k_all", artifact!("Large24"))?,
    ])
}

fn word(number: u64) -> Bytes {
    U256::from(number).to_be_bytes::<32>().into()
}

fn beacon_roots() -> Workload {
    let time = 1_699_999_000;
    let slot = time % BEACON_ROOTS_RING;
    protocol(
        "eip4788_get",
        word(time),
        Account {
            address: BEACON_ROOTS_ADDRESS,
            code: Bytes::from_static(BEACON_ROOTS),
            storage: [(slot, time), (slot + BEACON_ROOTS_RING, 0x0700)]
                .map(|(slot, value)| (U256::from(slot), U256::from(value)))
                .to_vec(),
            balance: U256::ZERO,
        },
    )
}

fn block_hashes() -> Workload {
    protocol(
        "eip2935_get",
        word(990),
        Account {
            address: BLOCK_HASHES_ADDRESS,
            code: Bytes::from_static(BLOCK_HASHES),
            storage: vec![(U256::from(990), U256::from(0x4a54))],
            balance: U256::ZERO,
        },
    )
}

fn protocol(name: &str, data: Bytes, account: Account) -> Workload {
    let mut workload = Workload::new(name);
    workload.transactions.push(Call::to(account.address, data));
    workload.accounts.push(account);
    workload.repeated(TRANSACTIONS)
}

fn factory() -> eyre::Result<Workload> {
    let mut workload = Workload::new("create2_factory");
    let factory = workload.create(creation(artifact!("Factory"), &[])?);
    let data = input("run(uint256)", &[20.into()]);
    workload.transactions.push(Call::to(factory, data));
    Ok(workload)
}

/// A hundred functions of a contract that has some more.
fn dispatch() -> eyre::Result<Workload> {
    let mut workload = Workload::new("dispatch");
    let contract = workload.create(creation(artifact!("Dispatch"), &[])?);
    workload.transactions = (0..TRANSACTIONS)
        .map(|index| Call::to(contract, input(&format!("f{index}(uint256)"), &[7.into()])))
        .collect();
    Ok(workload)
}

fn cheap_entry(name: &str, code: &str) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let contract = workload.create(creation(code, &[])?);
    let data = input("cheap(uint256)", &[7.into()]);
    workload.transactions.push(Call::to(contract, data));
    Ok(workload.repeated(TRANSACTIONS))
}

/// Each function of a large contract once.
fn all_entries(name: &str, code: &str) -> eyre::Result<Workload> {
    let mut workload = Workload::new(name);
    let contract = workload.create(creation(code, &[])?);
    workload.transactions = (0..TRANSACTIONS)
        .map(|index| {
            let arguments = [12_345.into(), contract.into()];
            Call::to(contract, input(&format!("g{index}(uint256,address)"), &arguments))
        })
        .collect();
    Ok(workload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::prepared::Prepared;
    use alloy_eips::{eip2935, eip4788};

    #[test]
    fn protocol_contracts_are_those_of_the_eips() {
        assert_eq!(eip4788::BEACON_ROOTS_CODE.as_ref(), BEACON_ROOTS);
        assert_eq!(eip4788::BEACON_ROOTS_ADDRESS, BEACON_ROOTS_ADDRESS);
        assert_eq!(eip2935::HISTORY_STORAGE_CODE.as_ref(), BLOCK_HASHES);
        assert_eq!(eip2935::HISTORY_STORAGE_ADDRESS, BLOCK_HASHES_ADDRESS);
    }

    #[test]
    fn protocol_contracts_find_what_is_stored() {
        for (workload, stored) in [(beacon_roots(), 0x0700), (block_hashes(), 0x4a54)] {
            let outcome = Prepared::of(&workload).unwrap().outcome().unwrap();
            assert_eq!(
                U256::from_be_slice(outcome.result[0].output().unwrap()),
                U256::from(stored)
            );
        }
    }
}
