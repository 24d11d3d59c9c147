//! What the JWT port serves a consensus client: JSON-RPC around [`rapid_engine`].
//!
//! The specification wants parameter lists to be exact from the third version on. They are for every version: a list
//! is read as a whole, so that a missing and an extra element are both refused, which per-method macros do not do.

mod identity;

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U64};
use alloy_rpc_types_engine::{
    ExecutionPayloadBodyV1, ExecutionPayloadInputV2, ExecutionPayloadV1, ExecutionPayloadV3,
    ExecutionPayloadV4, ForkchoiceState, ForkchoiceUpdated, PayloadAttributes, PayloadStatus,
};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::Params};
use rapid_engine::{
    EngineError, EngineHandle, ForkchoiceUpdate, ForkchoiceVersion, NewPayload, payload_bodies_by_hash,
    payload_bodies_by_range,
};
use serde::de::DeserializeOwned;

use crate::{error::RpcResult, eth::context::EthContext};

pub use identity::EngineInfo;

/// Parameters of `engine_newPayloadV4` and, with another payload, of `engine_newPayloadV5`.
type PragueParams<P> = (P, Vec<B256>, B256, Vec<Bytes>);

/// Bodies of canonical blocks.
type Bodies = Vec<Option<ExecutionPayloadBodyV1>>;

/// Methods that answer from the chain, whoever advances it.
const SERVED_BY_ALL: [&str; 3] = [
    "engine_getClientVersionV1",
    "engine_getPayloadBodiesByHashV1",
    "engine_getPayloadBodiesByRangeV1",
];

/// Methods that drive the chain. A node that drives it by itself refuses them.
const SERVED_BY_ENGINE: [&str; 8] = [
    "engine_newPayloadV1",
    "engine_newPayloadV2",
    "engine_newPayloadV3",
    "engine_newPayloadV4",
    "engine_newPayloadV5",
    "engine_forkchoiceUpdatedV1",
    "engine_forkchoiceUpdatedV2",
    "engine_forkchoiceUpdatedV3",
];

/// Answers the Engine API.
#[derive(Debug)]
struct EngineMethods {
    context: Arc<EthContext>,
    info: EngineInfo,
}

/// The methods of the JWT port.
///
/// # Errors
/// Never for the names here; typed because registering can fail.
pub(crate) fn module(
    context: Arc<EthContext>,
    info: EngineInfo,
) -> Result<impl Into<jsonrpsee::Methods>, RegisterMethodError> {
    let mut module = RpcModule::new(EngineMethods { context, info });
    register_payloads(&mut module)?;
    register_forkchoices(&mut module)?;
    register_bodies(&mut module)?;
    module.register_method("engine_exchangeCapabilities", |params, methods, _| {
        let (theirs,): (Vec<String>,) = parse(&params)?;
        RpcResult::Ok(methods.exchange_capabilities(&theirs))
    })?;
    module.register_method("engine_getClientVersionV1", |params, methods, _| {
        let (caller,) = parse(&params)?;
        RpcResult::Ok(methods.info.answer(&caller))
    })?;
    Ok(module)
}

fn register_payloads(module: &mut RpcModule<EngineMethods>) -> Result<(), RegisterMethodError> {
    module.register_async_method("engine_newPayloadV1", |params, methods, _| async move {
        let (payload,): (ExecutionPayloadV1,) = parse(&params)?;
        methods.new_payload(NewPayload::v1(payload)).await
    })?;
    module.register_async_method("engine_newPayloadV2", |params, methods, _| async move {
        let (payload,): (ExecutionPayloadInputV2,) = parse(&params)?;
        methods.new_payload(NewPayload::v2(payload)).await
    })?;
    module.register_async_method("engine_newPayloadV3", |params, methods, _| async move {
        let (payload, hashes, root): (ExecutionPayloadV3, _, _) = parse(&params)?;
        methods.new_payload(NewPayload::v3(payload, hashes, root)).await
    })?;
    module.register_async_method("engine_newPayloadV4", |params, methods, _| async move {
        let (payload, hashes, root, requests): PragueParams<ExecutionPayloadV3> = parse(&params)?;
        let payload = NewPayload::v4(payload, hashes, root, requests);
        methods.new_payload(payload).await
    })?;
    module.register_async_method("engine_newPayloadV5", |params, methods, _| async move {
        let (payload, hashes, root, requests): PragueParams<ExecutionPayloadV4> = parse(&params)?;
        let payload = NewPayload::v5(payload, hashes, root, requests);
        methods.new_payload(payload).await
    })?;
    Ok(())
}

fn register_forkchoices(module: &mut RpcModule<EngineMethods>) -> Result<(), RegisterMethodError> {
    for (name, version) in [
        ("engine_forkchoiceUpdatedV1", ForkchoiceVersion::V1),
        ("engine_forkchoiceUpdatedV2", ForkchoiceVersion::V2),
        ("engine_forkchoiceUpdatedV3", ForkchoiceVersion::V3),
    ] {
        module.register_async_method(name, move |params, methods, _| async move {
            let (state, attributes) = forkchoice_params(&params)?;
            let update = ForkchoiceUpdate {
                version,
                state,
                attributes,
            };
            methods.forkchoice_updated(update).await
        })?;
    }
    Ok(())
}

fn register_bodies(module: &mut RpcModule<EngineMethods>) -> Result<(), RegisterMethodError> {
    module.register_async_method(
        "engine_getPayloadBodiesByHashV1",
        |params, methods, _| async move {
            let (hashes,): (Vec<B256>,) = parse(&params)?;
            methods.bodies_by_hash(hashes).await
        },
    )?;
    module.register_async_method(
        "engine_getPayloadBodiesByRangeV1",
        |params, methods, _| async move {
            let (start, count): (U64, U64) = parse(&params)?;
            methods.bodies_by_range(start.to(), count.to()).await
        },
    )?;
    Ok(())
}

impl EngineMethods {
    /// The engine that drives the chain.
    fn engine(&self) -> RpcResult<&EngineHandle> {
        Ok(self.context.engine.as_ref().ok_or(EngineError::OtherDriver)?)
    }

    async fn new_payload(&self, payload: NewPayload) -> RpcResult<PayloadStatus> {
        Ok(self.engine()?.new_payload(payload).await?)
    }

    async fn forkchoice_updated(&self, update: ForkchoiceUpdate) -> RpcResult<ForkchoiceUpdated> {
        Ok(self.engine()?.forkchoice_updated(update).await?)
    }

    async fn bodies_by_hash(&self, hashes: Vec<B256>) -> RpcResult<Bodies> {
        let read = move |context: &EthContext, _| Ok(payload_bodies_by_hash(&context.chain, &hashes)?);
        self.context.heavy(read).await
    }

    async fn bodies_by_range(&self, start: u64, count: u64) -> RpcResult<Bodies> {
        let read = move |context: &EthContext, _| Ok(payload_bodies_by_range(&context.chain, start, count)?);
        self.context.heavy(read).await
    }

    fn exchange_capabilities(&self, theirs: &[String]) -> Vec<&'static str> {
        let driving: &[_] = match self.context.engine {
            Some(_) => &SERVED_BY_ENGINE,
            None => &[],
        };
        let ours = [&SERVED_BY_ALL, driving].concat();
        tracing::debug!(theirs = theirs.len(), ours = ours.len(), "capabilities exchanged");
        ours
    }
}

/// Reads a whole parameter list.
fn parse<T: DeserializeOwned>(params: &Params<'_>) -> Result<T, EngineError> {
    let list = params.as_str().unwrap_or("[]");
    serde_json::from_str(list).map_err(|error| EngineError::InvalidParams(error.to_string()))
}

/// The attributes may be null or left out.
fn forkchoice_params(
    params: &Params<'_>,
) -> Result<(ForkchoiceState, Option<PayloadAttributes>), EngineError> {
    match parse::<(ForkchoiceState,)>(params) {
        Ok((state,)) => Ok((state, None)),
        Err(_) => parse(params),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(json: &'static str) -> Params<'static> {
        Params::new(Some(json))
    }

    #[test]
    fn a_list_is_exact() {
        assert_eq!(
            parse::<(U64, U64)>(&params(r#"["0x1", "0x2"]"#)),
            Ok((U64::ONE, U64::from(2)))
        );
        for wrong in [
            r#"["0x1"]"#,
            r#"["0x1", "0x2", null]"#,
            "[]",
            r#"{"start": "0x1"}"#,
        ] {
            let error = parse::<(U64, U64)>(&params(wrong)).unwrap_err();
            assert_eq!(error.code(), -32602, "{wrong}");
        }
        assert!(parse::<(U64,)>(&Params::new(None)).is_err());
    }

    #[test]
    fn attributes_may_be_left_out() {
        let zero = B256::ZERO;
        let state =
            format!(r#"{{"headBlockHash":"{zero}","safeBlockHash":"{zero}","finalizedBlockHash":"{zero}"}}"#);
        for list in [format!("[{state}]"), format!("[{state},null]")] {
            let (_, attributes) = forkchoice_params(&Params::new(Some(&list))).unwrap();
            assert_eq!(attributes, None);
        }
        let extra = format!("[{state},null,null]");
        assert!(forkchoice_params(&Params::new(Some(&extra))).is_err());
    }
}
