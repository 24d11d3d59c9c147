//! A payload as it arrives, and what can be said of it without knowing its parent.

use alloy_consensus::Transaction;
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{
    CancunPayloadFields, ExecutionData, ExecutionPayload, ExecutionPayloadInputV2, ExecutionPayloadSidecar,
    ExecutionPayloadV1, ExecutionPayloadV3, ExecutionPayloadV4, PayloadError, PraguePayloadFields,
};
use rapid_chainspec::{ChainSpec, EthereumHardforks};
use rapid_primitives::Block;

use crate::{EngineError, NewPayloadVersion, orphans::Orphan, version::PayloadFork};

/// Parameters of `engine_newPayload`. The constructors take what each version carries, so a field that a version
/// must have is there.
#[derive(Clone, Debug)]
pub struct NewPayload {
    version: NewPayloadVersion,
    data: ExecutionData,
}

impl NewPayload {
    /// `engine_newPayloadV1`.
    #[must_use]
    pub const fn v1(payload: ExecutionPayloadV1) -> Self {
        Self::new(
            NewPayloadVersion::V1,
            ExecutionPayload::V1(payload),
            ExecutionPayloadSidecar::none(),
        )
    }

    /// `engine_newPayloadV2`.
    #[must_use]
    pub fn v2(payload: ExecutionPayloadInputV2) -> Self {
        Self::new(
            NewPayloadVersion::V2,
            payload.into_payload(),
            ExecutionPayloadSidecar::none(),
        )
    }

    /// `engine_newPayloadV3`.
    #[must_use]
    pub fn v3(
        payload: ExecutionPayloadV3,
        versioned_hashes: Vec<B256>,
        parent_beacon_block_root: B256,
    ) -> Self {
        let cancun = CancunPayloadFields::new(parent_beacon_block_root, versioned_hashes);
        Self::new(
            NewPayloadVersion::V3,
            ExecutionPayload::V3(payload),
            ExecutionPayloadSidecar::v3(cancun),
        )
    }

    /// `engine_newPayloadV4`.
    #[must_use]
    pub fn v4(
        payload: ExecutionPayloadV3,
        versioned_hashes: Vec<B256>,
        parent_beacon_block_root: B256,
        execution_requests: Vec<Bytes>,
    ) -> Self {
        let cancun = CancunPayloadFields::new(parent_beacon_block_root, versioned_hashes);
        let prague = PraguePayloadFields::new(Requests::new(execution_requests));
        Self::new(
            NewPayloadVersion::V4,
            ExecutionPayload::V3(payload),
            ExecutionPayloadSidecar::v4(cancun, prague),
        )
    }

    /// `engine_newPayloadV5`.
    #[must_use]
    pub fn v5(
        payload: ExecutionPayloadV4,
        versioned_hashes: Vec<B256>,
        parent_beacon_block_root: B256,
        execution_requests: Vec<Bytes>,
    ) -> Self {
        let cancun = CancunPayloadFields::new(parent_beacon_block_root, versioned_hashes);
        let prague = PraguePayloadFields::new(Requests::new(execution_requests));
        Self::new(
            NewPayloadVersion::V5,
            ExecutionPayload::V4(payload),
            ExecutionPayloadSidecar::v4(cancun, prague),
        )
    }

    const fn new(
        version: NewPayloadVersion,
        payload: ExecutionPayload,
        sidecar: ExecutionPayloadSidecar,
    ) -> Self {
        Self {
            version,
            data: ExecutionData::new(payload, sidecar),
        }
    }

    /// The number it says it has.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.data.block_number()
    }

    /// The hash it says it has.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.data.block_hash()
    }

    /// Whether it may come by this version of the method.
    ///
    /// # Errors
    /// [`EngineError::InvalidParams`], then [`EngineError::UnsupportedFork`].
    pub(crate) fn check_version(&self, spec: &ChainSpec) -> Result<(), EngineError> {
        if let Some(requests) = self.data.sidecar.requests() {
            check_requests(requests)?;
        }
        let timestamp = self.data.payload.timestamp();
        if self.version == NewPayloadVersion::V2 {
            let shanghai = spec.is_shanghai_active_at_timestamp(timestamp);
            match (shanghai, self.data.withdrawals().is_some()) {
                (true, false) => return Err(EngineError::params("no withdrawals after Shanghai")),
                (false, true) => return Err(EngineError::params("withdrawals before Shanghai")),
                _ => {}
            }
        }
        if self.version.serves(PayloadFork::at(spec, timestamp)) {
            Ok(())
        } else {
            Err(EngineError::UnsupportedFork)
        }
    }

    /// The block it stands for: its transactions decode, it has the hash it says, and blob transactions name the
    /// hashes that the consensus client expects.
    ///
    /// # Errors
    /// Why it is invalid, whatever its parent is.
    pub(crate) fn into_block(self) -> Result<Orphan, PayloadError> {
        let hash = self.hash();
        let versioned_hashes = self.data.sidecar.versioned_hashes().cloned();
        let access_list = self.data.payload.block_access_list().cloned();
        let block: Block = self.data.try_into_block()?;
        let found = block.header.hash_slow();
        if found != hash {
            return Err(PayloadError::BlockHash {
                execution: found,
                consensus: hash,
            });
        }
        if let Some(expected) = versioned_hashes {
            let named = block
                .body
                .transactions
                .iter()
                .filter_map(|transaction| transaction.blob_versioned_hashes())
                .flatten();
            if !named.eq(&expected) {
                return Err(PayloadError::InvalidVersionedHashes);
            }
        }
        Ok(Orphan {
            hash,
            block,
            access_list,
        })
    }
}

/// Each request has a type and content, and each type comes once, in ascending order (EIP-7685).
fn check_requests(requests: &Requests) -> Result<(), EngineError> {
    let mut last = None;
    for request in requests.iter() {
        match request.as_ref() {
            [kind, _, ..] if last.is_none_or(|last| last < *kind) => last = Some(*kind),
            [_, _, ..] => {
                return Err(EngineError::params(
                    "execution requests are not in ascending order",
                ));
            }
            _ => return Err(EngineError::params("an execution request is empty")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(requests: &[&'static [u8]]) -> Result<(), EngineError> {
        let requests = requests.iter().map(|request| Bytes::from_static(request));
        check_requests(&Requests::new(requests.collect()))
    }

    #[test]
    fn requests_have_content_and_ascend() {
        assert_eq!(requests(&[]), Ok(()));
        assert_eq!(requests(&[&[0, 1], &[2, 1, 1]]), Ok(()));
        for bad in [&[&[][..]][..], &[&[0]], &[&[1, 1], &[0, 1]], &[&[1, 1], &[1, 2]]] {
            assert_eq!(requests(bad).unwrap_err().code(), -32602, "{bad:?}");
        }
    }
}
