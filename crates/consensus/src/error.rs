//! Why a block is invalid. Nothing here is the node's fault: the block's author has to act.

use alloy_primitives::{B256, Bloom, Bytes, Signature, U256};
use rapid_chainspec::EthereumHardfork;

/// What a block said and what it should have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("got {found}, expected {expected}")]
pub struct Mismatch<T: std::fmt::Display> {
    /// In the block.
    pub found: T,
    /// By the rules.
    pub expected: T,
}

impl<T: std::fmt::Display + PartialEq> Mismatch<T> {
    /// `Ok` if both are the same.
    pub(crate) fn check(found: T, expected: T) -> Result<(), Self> {
        if found == expected {
            Ok(())
        } else {
            Err(Self { found, expected })
        }
    }
}

/// A header field that exists from some fork on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderField {
    /// Base fee per gas (EIP-1559), from London.
    BaseFeePerGas,
    /// Withdrawals root (EIP-4895), from Shanghai.
    WithdrawalsRoot,
    /// Blob gas used (EIP-4844), from Cancun.
    BlobGasUsed,
    /// Excess blob gas (EIP-4844), from Cancun.
    ExcessBlobGas,
    /// Parent beacon block root (EIP-4788), from Cancun.
    ParentBeaconBlockRoot,
    /// Requests hash (EIP-7685), from Prague.
    RequestsHash,
    /// Block access list hash (EIP-7928), from Amsterdam.
    BlockAccessListHash,
    /// Slot number (EIP-7843), from Amsterdam.
    SlotNumber,
}

impl std::fmt::Display for HeaderField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BaseFeePerGas => "base fee",
            Self::WithdrawalsRoot => "withdrawals root",
            Self::BlobGasUsed => "blob gas used",
            Self::ExcessBlobGas => "excess blob gas",
            Self::ParentBeaconBlockRoot => "parent beacon block root",
            Self::RequestsHash => "requests hash",
            Self::BlockAccessListHash => "block access list hash",
            Self::SlotNumber => "slot number",
        })
    }
}

/// A header breaks a rule by itself or as the child of its parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The parent named is another block.
    #[error("mismatched parent hash: {0}")]
    ParentHash(Mismatch<B256>),
    /// The number is not the parent's plus one.
    #[error("block number {found} does not match parent block number {parent}")]
    Number {
        /// The parent's.
        parent: u64,
        /// The header's.
        found: u64,
    },
    /// The timestamp is not after the parent's.
    #[error("block timestamp {found} is in the past compared to the parent timestamp {parent}")]
    Timestamp {
        /// The parent's, in seconds.
        parent: u64,
        /// The header's.
        found: u64,
    },
    /// The gas limit moved by a 1024th of the parent's or more (the parent's counts twice in the first London block,
    /// EIP-1559).
    #[error("gas limit {found} is {bound} or more away from the parent gas limit {parent}")]
    GasLimitChange {
        /// The parent's, doubled in the first London block.
        parent: u64,
        /// The header's.
        found: u64,
        /// The first forbidden distance.
        bound: u64,
    },
    /// The gas limit is outside of the bounds of every block.
    #[error("gas limit {found} is not within {min} and {max}")]
    GasLimitBounds {
        /// The header's.
        found: u64,
        /// Lowest allowed.
        min: u64,
        /// Highest allowed.
        max: u64,
    },
    /// More gas used than the limit allows.
    #[error("block used gas ({gas_used}) is greater than gas limit ({gas_limit})")]
    GasUsed {
        /// Gas used.
        gas_used: u64,
        /// The header's gas limit.
        gas_limit: u64,
    },
    /// Too much extra data.
    #[error("extra data has {found} bytes, more than {max}")]
    ExtraDataLength {
        /// Length in bytes.
        found: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// The first ten blocks of the DAO fork carry its marker (EIP-779).
    #[error("extra data of a DAO fork block: {0}")]
    DaoExtraData(Mismatch<Bytes>),
    /// The base fee is not the one the parent determines (EIP-1559).
    #[error("block base fee mismatch: {0}")]
    BaseFee(Mismatch<u64>),
    /// The difficulty is not the one the parent determines, or not zero after the merge (EIP-3675).
    #[error("difficulty mismatch: {0}")]
    Difficulty(Mismatch<U256>),
    /// The nonce is not zero after the merge (EIP-3675).
    #[error("nonce after merge is not zero: {found}")]
    Nonce {
        /// The header's.
        found: u64,
    },
    /// Ommers after the merge (EIP-3675).
    #[error("ommer root hash after merge is not empty: {0}")]
    OmmersHash(Mismatch<B256>),
    /// A field of an active fork is missing.
    #[error("missing {field}, which {fork} requires")]
    FieldMissing {
        /// The field.
        field: HeaderField,
        /// The fork that is active.
        fork: EthereumHardfork,
    },
    /// A field is present before its fork.
    #[error("unexpected {field} before {fork}")]
    FieldUnexpected {
        /// The field.
        field: HeaderField,
        /// The fork that is not active yet.
        fork: EthereumHardfork,
    },
    /// Blob gas used is not a whole number of blobs (EIP-4844).
    #[error("blob gas used {found} is not a multiple of blob gas per blob {gas_per_blob}")]
    BlobGasUnit {
        /// The header's.
        found: u64,
        /// Gas of one blob.
        gas_per_blob: u64,
    },
    /// More blobs than a block may have (EIP-4844, EIP-7691, EIP-7892).
    #[error("blob gas used {found} exceeds maximum allowance {max}")]
    BlobGasUsed {
        /// The header's.
        found: u64,
        /// Most allowed at the header's timestamp.
        max: u64,
    },
    /// Excess blob gas is not the one the parent determines (EIP-4844, EIP-7918).
    #[error("invalid excess blob gas: {0}")]
    ExcessBlobGas(Mismatch<u64>),
}

/// A body does not belong to its header, or breaks a rule that needs no execution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The ommers are not the header's.
    #[error("mismatched block ommer hash: {0}")]
    OmmersHash(Mismatch<B256>),
    /// The transactions are not the header's.
    #[error("mismatched block transaction root: {0}")]
    TransactionsRoot(Mismatch<B256>),
    /// The withdrawals are not the header's (EIP-4895).
    #[error("mismatched block withdrawals root: {0}")]
    WithdrawalsRoot(Mismatch<B256>),
    /// A body without withdrawals under a header that has their root (EIP-4895).
    #[error("missing withdrawals")]
    WithdrawalsMissing,
    /// A body with withdrawals under a header without their root (EIP-4895).
    #[error("unexpected withdrawals")]
    WithdrawalsUnexpected,
    /// The transactions' blobs do not add up to the header's blob gas (EIP-4844).
    #[error("blob gas used mismatch: {0}")]
    BlobGasUsed(Mismatch<u64>),
    /// The encoded block is too large (EIP-7934).
    #[error("block is too large: {found} > {max} bytes")]
    Size {
        /// Bytes of the block's RLP.
        found: usize,
        /// Most bytes allowed.
        max: usize,
    },
    /// A transaction breaks a rule by itself.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Its index in the block.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: TransactionError,
    },
}

/// A transaction cannot be in a block of its fork, whatever the state is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The type is not known yet (EIP-2930, EIP-1559, EIP-4844, EIP-7702).
    #[error("type {found} is not active before {fork}")]
    Type {
        /// EIP-2718 type byte.
        found: u8,
        /// The fork that introduces it.
        fork: EthereumHardfork,
    },
    /// A legacy transaction is signed for a chain before signatures could be (EIP-155).
    #[error("replay protection for chain {found} is not active before {fork}")]
    ChainId {
        /// The chain id in its signature.
        found: u64,
        /// The fork that introduces it.
        fork: EthereumHardfork,
    },
    /// The signature recovers to no account, or is not in canonical form (EIP-2).
    #[error("signature {found:?} is invalid")]
    Signature {
        /// The transaction's.
        found: Box<Signature>,
    },
    /// The gas limit is above the cap (EIP-7825).
    #[error("gas limit {found} exceeds the cap of {max}")]
    GasLimit {
        /// The transaction's.
        found: u64,
        /// The cap.
        max: u64,
    },
    /// A blob transaction without blobs (EIP-4844).
    #[error("blob transaction without blobs")]
    BlobsMissing,
    /// More blobs than one transaction may have (EIP-4844, EIP-7594).
    #[error("{found} blobs exceed {max}")]
    BlobCount {
        /// The transaction's.
        found: u64,
        /// Most allowed.
        max: u64,
    },
    /// A blob hash is not of the known version (EIP-4844).
    #[error("blob hash {found} does not start with version 1")]
    BlobVersion {
        /// The first such hash.
        found: B256,
    },
    /// A set-code transaction without authorisations (EIP-7702).
    #[error("empty authorization list")]
    AuthorizationsMissing,
}

/// Execution found something else than the header says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostExecutionError {
    /// Gas used.
    #[error("block gas used mismatch: {0}")]
    GasUsed(Mismatch<u64>),
    /// Blob gas used (EIP-4844).
    #[error("blob gas used mismatch: {0}")]
    BlobGasUsed(Mismatch<u64>),
    /// Root of the receipts.
    #[error("receipt root mismatch: {0}")]
    ReceiptsRoot(Mismatch<B256>),
    /// Bloom of all logs.
    #[error("header bloom filter mismatch: {0}")]
    LogsBloom(Box<Mismatch<Bloom>>),
    /// Hash of the execution-layer requests (EIP-7685).
    #[error("mismatched block requests hash: {0}")]
    RequestsHash(Mismatch<B256>),
    /// The header has a requests hash and execution produced no list of requests, or the other way round (EIP-7685).
    #[error("requests hash in the header: {header}, requests from execution: {outcome}")]
    RequestsPresence {
        /// Whether the header has the hash.
        header: bool,
        /// Whether execution produced requests.
        outcome: bool,
    },
    /// Hash of the block access list (EIP-7928); `None` where there is none.
    #[error("mismatched block access list hash: got {found:?}, expected {expected:?}")]
    BlockAccessListHash {
        /// The header's.
        found: Option<B256>,
        /// Of the list that execution produced.
        expected: Option<B256>,
    },
    /// More in the block access list than the gas limit allows (EIP-7928).
    #[error("block access list has {found} items, more than {max}")]
    BlockAccessListSize {
        /// Addresses and storage keys in the list that execution produced.
        found: u64,
        /// Most allowed under the header's gas limit.
        max: u64,
    },
    /// Root of the state.
    #[error("mismatched block state root: {0}")]
    StateRoot(Mismatch<B256>),
}
