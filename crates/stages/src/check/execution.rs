//! A block executed again on the state that history keeps from before it.

use std::sync::Arc;

use rapid_chain::{Chain, StateAt};
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::ReceiptsDigest;
use rapid_evm::{BlockExecutor, BlockHashes, ExecutionError, StateDb, environment_of_header};
use rapid_primitives::{ReadState, Receipt, SealedBlock};

use super::{CheckError, overlay::Overlay};

/// Hashes of all blocks of the chain, as old as they may be.
#[derive(Clone, Debug)]
struct AllHashes(Chain);

impl BlockHashes for AllHashes {
    fn block_hash(&self, number: u64) -> Option<alloy_primitives::B256> {
        // The executor cannot tell a failing disk from a block that is not there; the next read of the state can.
        self.0.block_hash(number).ok().flatten()
    }
}

/// A block after its execution.
struct Replayed {
    state: Overlay<StateAt>,
    receipts: Vec<Receipt>,
    gas_used: u64,
}

/// Executes a block on the state before it and says what is not as it is stored: receipts, gas, receipts root, and the
/// state after it, where the block changed it.
pub(super) fn differences(chain: &Chain, block: &SealedBlock) -> Result<Vec<String>, CheckError> {
    if block.number() == 0 {
        return Ok(Vec::new());
    }
    let before = chain.state_at(block.number() - 1)?;
    let replayed = match replay(chain, block, before) {
        Ok(replayed) => replayed,
        Err(ExecutionError::State(error)) => return Err(error.into()),
        Err(error) => return Ok(vec![format!("it cannot be executed: {error}")]),
    };
    let mut differences = receipts(chain, block, &replayed);
    if replayed.gas_used != block.header.gas_used {
        let (found, header) = (replayed.gas_used, block.header.gas_used);
        differences.push(format!("it uses {found} gas, its header says {header}"));
    }
    differences.extend(state(&replayed.state, &chain.state_at(block.number())?)?);
    Ok(differences)
}

fn replay(
    chain: &Chain,
    block: &SealedBlock,
    before: StateAt,
) -> Result<Replayed, ExecutionError<rapid_chain::PastReadError>> {
    let database = StateDb::new(Overlay::on(before), AllHashes(chain.clone()));
    let environment = environment_of_header(&block.header);
    let mut executor = BlockExecutor::new(Arc::clone(chain.spec()), environment, database, chain.compiler());
    executor.begin()?;
    executor.store_parent_hash(block.header.parent_hash)?;
    let mut receipts = Vec::with_capacity(block.body.transactions.len());
    for (transaction, sender) in block.body.transactions.iter().zip(&block.senders) {
        receipts.push(executor.execute(transaction, *sender)?.receipt);
    }
    let withdrawals = block.body.withdrawals.as_ref();
    executor.finish(withdrawals.map(|list| list.as_slice()), &block.body.ommers)?;
    Ok(Replayed {
        gas_used: executor.gas_used(),
        state: executor.into_state(),
        receipts,
    })
}

fn receipts(chain: &Chain, block: &SealedBlock, replayed: &Replayed) -> Vec<String> {
    let pairs = replayed.receipts.iter().zip(&block.receipts).enumerate();
    let mut differences: Vec<_> = pairs
        .filter(|(_, (replayed, stored))| replayed != stored)
        .map(|(index, _)| format!("transaction {index} gives another receipt than is stored"))
        .collect();
    // Before Byzantium a receipt holds a state root, which the receipts here do not keep.
    if chain.spec().is_byzantium_active_at_block(block.number()) {
        let (found, header) = (
            ReceiptsDigest::of(&replayed.receipts).root,
            block.header.receipts_root,
        );
        if found != header {
            differences.push(format!(
                "its receipts have root {found}, its header says {header}"
            ));
        }
    }
    differences
}

/// Compares what the block wrote with the state that is kept from after it.
fn state(written: &Overlay<StateAt>, after: &StateAt) -> Result<Vec<String>, CheckError> {
    let mut differences = Vec::new();
    for (address, account) in written.written_accounts() {
        if after.account(address)? != account {
            differences.push(format!("account {address} is another than the one kept"));
        }
    }
    for (address, slot, value) in written.written_slots() {
        let kept = after.storage(address, slot)?;
        if kept != *value {
            differences.push(format!(
                "slot {slot:#x} of {address} is {value:#x}, kept is {kept:#x}"
            ));
        }
    }
    differences.sort();
    Ok(differences)
}
