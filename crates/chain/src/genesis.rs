//! Block 0 and the state it starts with.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256};
use rapid_chainspec::ChainSpec;
use rapid_primitives::{AccountChange, Block, BlockBody, CodeChange, Fate, SealedBlock};

/// Block 0.
pub(crate) fn genesis_block(spec: &ChainSpec) -> SealedBlock {
    let header = spec.genesis_header().inner().clone();
    let withdrawals = header.withdrawals_root.map(|_| Default::default());
    let body = BlockBody {
        transactions: Vec::new(),
        ommers: Vec::new(),
        withdrawals,
    };
    SealedBlock::seal(Block { header, body }, Vec::new(), Vec::new())
}

/// The accounts of the genesis block, each with all of its values: applied to an empty state they give the state whose
/// root is in the genesis header.
pub(crate) fn genesis_allocation(spec: &ChainSpec) -> Vec<AccountChange> {
    spec.genesis()
        .alloc
        .iter()
        .map(|(address, account)| allocation(*address, account))
        .collect()
}

/// The account as a change of the empty state: all post-values present, zero slots left out. An account without
/// nonce, balance and code is in the genesis trie all the same, whatever EIP-161 says of later blocks.
fn allocation(address: Address, account: &GenesisAccount) -> AccountChange {
    let nonce = account.nonce.unwrap_or_default();
    let code = account.non_empty_code().map(|code| CodeChange::new(code.clone()));
    let empty = nonce == 0 && account.balance.is_zero() && code.is_none();
    AccountChange {
        address,
        fate: if empty { Fate::CreatedEmpty } else { Fate::Kept },
        nonce: Some(nonce),
        balance: Some(account.balance),
        code,
        storage: account
            .storage_slots()
            .filter(|(_, value)| !value.is_zero())
            .map(|(slot, value)| (U256::from_be_bytes(slot.0), value))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use rapid_state::{ReadSet, State, StateConfig, StateView};
    use rapid_trie::{Forest, StateTrie};

    use super::*;

    #[test]
    fn the_allocation_gives_the_state_root() {
        let json = r#"{"config":{"chainId":9},"alloc":{
            "0x00000000000000000000000000000000000000aa":{"balance":"0x0"},
            "0x00000000000000000000000000000000000000bb":{"balance":"0x7","nonce":"0x3","code":"0x6001",
                "storage":{"0x00":"0x00","0x01":"0x02"}}}}"#;
        for spec in [
            ChainSpec::parse(json).unwrap(),
            ChainSpec::dev(),
            ChainSpec::realtime(),
        ] {
            let state = State::new(StateConfig::default()).unwrap();
            let allocation = genesis_allocation(&spec);
            let version = state.commit(&ReadSet::new(), &allocation).unwrap();
            let forest = Forest::new(1 << 30).unwrap();
            let mut trie = StateTrie::<StateView>::empty(&forest, state.published().into());
            trie.apply(state.get_at(version).unwrap().into(), &allocation)
                .unwrap();
            assert_eq!(trie.root(), Ok(spec.genesis_header().state_root));
        }
    }
}
