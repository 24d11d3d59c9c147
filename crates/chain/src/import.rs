//! Blocks made elsewhere: checked, executed one transaction after the other, and adopted as a whole or not at all.

use std::{sync::Arc, time::SystemTime};

use alloy_eip7928::{compute_block_access_list_hash, total_bal_items};
use alloy_primitives::Address;
use rapid_chainspec::EthereumHardforks;
use rapid_consensus::{
    ExecutionOutcome, ReceiptsDigest, TransactionRules, verify_body, verify_header,
    verify_header_against_parent, verify_post_execution,
};
use rapid_evm::{BlockEnd, BlockExecutor, ExecutionError, StateDb, environment_of_header};
use rapid_primitives::{
    AmsterdamClose, Block, BlockClose, BlockPosition, DiffBuilder, Header, MiniBlock, MiniBlockBody,
    MiniBlockHeader, ProofOfWorkSeal, Receipt, SealedBlock, SealedMiniBlock, StateDiff,
};
use rapid_state::{Draft, VersionGone};
use rayon::prelude::*;

use crate::{
    BlockAssembly, Chain, ChainError, Driver, FinishedBlock, ImportError, Opened, Tip,
    block_receipts::BlockReceipts, ommers::verify_ommers_on_chain,
};

/// What an imported block was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSummary {
    /// The block, now the head.
    pub block: Arc<SealedBlock>,
}

/// Imports blocks on top of the head. Each becomes one mini-block in the log that opens and closes it, so a restart
/// recovers imported and produced blocks alike.
#[derive(Debug)]
pub struct Importer {
    driver: Driver,
    tip: Tip,
}

/// What executing a block gave.
struct Execution {
    draft: Draft,
    receipts: Vec<Receipt>,
    receipts_digest: ReceiptsDigest,
    diff: StateDiff,
    end: BlockEnd,
    gas_used: u64,
    blob_gas_used: u64,
}

impl Execution {
    /// What its record says of a block from Amsterdam on.
    fn amsterdam(&self) -> Option<AmsterdamClose> {
        self.end.access_list.as_deref().map(|list| AmsterdamClose {
            gas_used: self.gas_used,
            block_access_list_hash: compute_block_access_list_hash(list),
        })
    }
}

impl Importer {
    /// Takes over an opened chain.
    ///
    /// # Errors
    /// [`ImportError::OpenBlock`] if a sequencer left a block open.
    pub fn new(opened: Opened) -> Result<Self, ImportError> {
        let Opened { driver, tip, .. } = opened;
        match tip.assembly.block() {
            Some(open) => Err(ImportError::OpenBlock(open.number())),
            None => Ok(Self { driver, tip }),
        }
    }

    /// The chain imported into.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        self.driver.chain()
    }

    /// Checks, executes and adopts the next block.
    ///
    /// # Errors
    /// [`ImportError`]; then nothing of the block is left behind and the head is what it was.
    pub fn import(&mut self, block: Block) -> Result<ImportSummary, ImportError> {
        self.verify_before_execution(&block)?;
        let senders = self.recover_senders(&block)?;
        let execution = self.execute(&block, &senders)?;
        let mut trie = self.tip.assembly.trie().clone();
        trie.apply(&execution.diff.collapse());
        let outcome = ExecutionOutcome {
            gas_used: execution.gas_used,
            blob_gas_used: execution.blob_gas_used,
            receipts: execution.receipts_digest,
            requests: execution.end.requests.as_ref(),
            block_access_list_hash: execution
                .amsterdam()
                .map(|amsterdam| amsterdam.block_access_list_hash),
            block_access_list_items: execution.end.access_list.as_deref().map_or(0, total_bal_items),
            state_root: trie.root(),
        };
        verify_post_execution(&block.header, &outcome).map_err(|error| ImportError::PostExecution {
            number: block.header.number,
            error,
        })?;
        self.adopt(block, senders, execution, trie)
    }

    /// Ends the import; everything imported is durable on return.
    ///
    /// # Errors
    /// [`ChainError`] if something could not be made durable.
    pub fn finish(self) -> Result<(), ChainError> {
        self.driver.shutdown()
    }

    fn verify_before_execution(&self, block: &Block) -> Result<(), ImportError> {
        let spec = self.chain().spec();
        let (number, header) = (block.header.number, &block.header);
        let head = Arc::clone(&self.chain().view().head);
        if header.parent_hash != head.hash {
            return Err(ImportError::UnknownParent {
                number,
                parent: header.parent_hash,
                head_number: head.number(),
                head: head.hash,
            });
        }
        verify_header(spec, header)
            .and_then(|()| verify_header_against_parent(spec, header, &head.header, head.hash))
            .map_err(|error| ImportError::Header { number, error })?;
        verify_body(spec, header, &block.body).map_err(|error| ImportError::Body { number, error })?;
        verify_ommers_on_chain(self.chain(), block, head.number())
    }

    fn execute(&self, block: &Block, senders: &[Address]) -> Result<Execution, ImportError> {
        let number = block.header.number;
        let draft = Draft::begin(self.chain().view().state.clone());
        let database = StateDb::new(draft, self.chain().clone());
        let environment = environment_of_header(&block.header);
        let mut executor = BlockExecutor::new(Arc::clone(self.chain().spec()), environment, database);
        let mut diff = DiffBuilder::new();
        let mut digest = BlockReceipts::begin(self.chain().spec(), number, self.tip.assembly.trie());
        let failed = |error| block_error(number, error);
        let mut before = executor.begin().map_err(failed)?;
        before.extend(
            executor
                .store_parent_hash(block.header.parent_hash)
                .map_err(failed)?,
        );
        diff.push(0, &before);
        digest.precede(&before);
        let mut receipts = Vec::with_capacity(block.body.transactions.len());
        for (index, (transaction, sender)) in block.body.transactions.iter().zip(senders).enumerate() {
            let executed = executor
                .execute(transaction, *sender)
                .map_err(|error| transaction_error(number, index, *sender, error))?;
            diff.push(access_index(index + 1), &executed.changes);
            digest.push(&executed.receipt, &executed.changes);
            receipts.push(executed.receipt);
        }
        let withdrawals = block
            .body
            .withdrawals
            .as_ref()
            .map(|withdrawals| withdrawals.as_slice());
        let end = executor.finish(withdrawals, &block.body.ommers).map_err(failed)?;
        diff.push(access_index(receipts.len() + 1), &end.changes);
        Ok(Execution {
            gas_used: executor.gas_used(),
            blob_gas_used: executor.blob_gas_used(),
            draft: executor.into_state(),
            receipts,
            receipts_digest: digest.finish(),
            diff: diff.finish(),
            end,
        })
    }

    fn adopt(
        &mut self,
        block: Block,
        senders: Vec<Address>,
        execution: Execution,
        trie: rapid_trie::StateTrie,
    ) -> Result<ImportSummary, ImportError> {
        let amsterdam = execution.amsterdam();
        let Execution {
            draft,
            receipts,
            diff,
            end,
            ..
        } = execution;
        let time_us = now_us().max(self.tip.time_us + 1);
        let header = MiniBlockHeader {
            number: self.tip.mini_block.next(),
            parent_hash: self.tip.mini_block_hash,
            time_us,
            environment: environment_of_header(&block.header),
            block_parent_hash: Some(block.header.parent_hash),
            position: BlockPosition::default(),
            close: Some(BlockClose {
                withdrawals: block
                    .body
                    .withdrawals
                    .clone()
                    .map(|withdrawals| withdrawals.into_inner()),
                requests: end.requests,
                proof_of_work: self.is_before_paris(&block.header).then(|| ProofOfWorkSeal {
                    nonce: block.header.nonce,
                    ommers: block.body.ommers.clone(),
                    receipts_root: block.header.receipts_root,
                }),
                amsterdam,
            }),
            body_hash: Default::default(),
        };
        let body = MiniBlockBody {
            transactions: block.body.transactions.clone(),
            senders: senders.clone(),
            receipts: receipts.clone(),
            diff,
        };
        let mini_block = Arc::new(MiniBlock { header, body }.seal());
        let before = self.chain().state().sequence();
        let version = draft.adopt(self.chain().state()).map_err(ChainError::from)?;
        if let Err(error) = self.write(&mini_block) {
            self.chain().state().rewind_to(before).map_err(ChainError::from)?;
            return Err(error.into());
        }
        self.driver.publish(&mini_block, version);
        let block = Arc::new(SealedBlock::seal(block, senders, receipts));
        self.tip = Tip {
            mini_block: mini_block.number(),
            mini_block_hash: mini_block.hash(),
            time_us,
            assembly: BlockAssembly::after(trie.clone()),
        };
        self.driver.seal(FinishedBlock {
            block: Arc::clone(&block),
            trie,
            mini_blocks: vec![mini_block],
            version,
        })?;
        Ok(ImportSummary { block })
    }

    /// Recovers all senders, on all cores.
    fn recover_senders(&self, block: &Block) -> Result<Vec<Address>, ImportError> {
        let number = block.header.number;
        let rules = TransactionRules::at(self.chain().spec(), number, block.header.timestamp);
        block
            .body
            .transactions
            .par_iter()
            .with_min_len(32)
            .enumerate()
            .map(|(index, transaction)| {
                rules
                    .recover_sender(transaction)
                    .map_err(|_| ImportError::Signature { number, index })
            })
            .collect()
    }

    fn is_before_paris(&self, header: &Header) -> bool {
        !self.chain().spec().is_paris_active_at_block(header.number)
    }

    fn write(&self, mini_block: &SealedMiniBlock) -> Result<(), ChainError> {
        if !self.driver.has_room() {
            return Err(ChainError::DiskNearlyFull);
        }
        self.driver.append(mini_block)?;
        self.driver.wait_announceable(mini_block.number())
    }
}

fn access_index(index: usize) -> u32 {
    u32::try_from(index).expect("EIP-7934 and the intrinsic gas bound a block's transactions far below 2^32")
}

fn block_error(number: u64, error: ExecutionError<VersionGone>) -> ImportError {
    match error {
        ExecutionError::State(gone) => ChainError::VersionGone(gone).into(),
        other => ImportError::Execution {
            number,
            reason: other.to_string(),
        },
    }
}

fn transaction_error(
    number: u64,
    index: usize,
    sender: Address,
    error: ExecutionError<VersionGone>,
) -> ImportError {
    match error {
        ExecutionError::State(gone) => ChainError::VersionGone(gone).into(),
        other => ImportError::Transaction {
            number,
            index,
            sender,
            reason: other.to_string(),
        },
    }
}

fn now_us() -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
}
