//! What a client may ask for with `eth_subscribe`.

use alloy_primitives::{
    Address,
    map::{AddressHashSet, B256HashSet},
};
use alloy_rpc_types_eth::{Filter, pubsub::TransactionReceiptsParams};
use jsonrpsee::types::Params;
use serde_json::Value;

use crate::{
    convert::TransactionDetail,
    error::{RpcError, RpcResult},
};

/// Most addresses of one `stateChanges` subscription.
const STATE_CHANGE_ADDRESSES_MAX: usize = 1_000;
/// Most transactions of one `transactionReceipts` subscription.
const RECEIPT_HASHES_MAX: usize = 1_000;
/// Most addresses or topics of one `logs` subscription.
const LOG_FILTER_ITEMS_MAX: usize = 1_000;

/// A subscription, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Headers of sealed blocks.
    NewHeads,
    /// Logs of sealed blocks.
    Logs(Box<Filter>),
    /// Logs of mini-blocks: the filter's range is `pending` at both ends.
    PendingLogs(Box<Filter>),
    /// Transactions as they become executable.
    NewPendingTransactions(TransactionDetail),
    /// Receipts of sealed blocks; of all transactions, or of these.
    TransactionReceipts(Option<B256HashSet>),
    /// Whether the node is catching up.
    Syncing,
    /// Mini-blocks.
    MiniBlocks,
    /// Changes of some accounts, per mini-block.
    StateChanges(AddressHashSet),
}

impl Request {
    /// Decodes the parameters of `eth_subscribe`.
    pub(crate) fn parse(params: &Params<'_>) -> RpcResult<Self> {
        let mut params = params.sequence();
        let kind: String = params.next().map_err(invalid)?;
        let argument: Option<Value> = params.optional_next().map_err(invalid)?;
        match kind.as_str() {
            "newHeads" => Ok(Self::NewHeads),
            "syncing" => Ok(Self::Syncing),
            "miniBlocks" => Ok(Self::MiniBlocks),
            "logs" => parse_logs(argument),
            "newPendingTransactions" => parse_pending(argument),
            "stateChanges" => parse_state_changes(argument),
            "transactionReceipts" => parse_receipts(argument),
            kind => Err(RpcError::invalid_params(format!(
                "unknown subscription kind `{kind}`"
            ))),
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> RpcError {
    RpcError::invalid_params(format!("invalid subscription parameters: {error}"))
}

fn parse_logs(argument: Option<Value>) -> RpcResult<Request> {
    let filter: Filter = argument
        .map_or_else(|| Ok(Filter::default()), serde_json::from_value)
        .map_err(invalid)?;
    let items = filter.address.len() + filter.topics.iter().map(|topics| topics.len()).sum::<usize>();
    if items > LOG_FILTER_ITEMS_MAX {
        return Err(invalid(format!(
            "more than {LOG_FILTER_ITEMS_MAX} addresses and topics"
        )));
    }
    let filter = Box::new(filter);
    Ok(if filter.is_pending_block_filter() {
        Request::PendingLogs(filter)
    } else {
        Request::Logs(filter)
    })
}

fn parse_pending(argument: Option<Value>) -> RpcResult<Request> {
    match argument {
        None => Ok(Request::NewPendingTransactions(TransactionDetail::Hashes)),
        Some(Value::Bool(full)) => Ok(Request::NewPendingTransactions(full.into())),
        Some(_) => Err(invalid("newPendingTransactions takes a boolean")),
    }
}

fn parse_receipts(argument: Option<Value>) -> RpcResult<Request> {
    let params: TransactionReceiptsParams = argument
        .map_or_else(
            || Ok(TransactionReceiptsParams::default()),
            serde_json::from_value,
        )
        .map_err(invalid)?;
    let hashes = params.transaction_hashes.filter(|hashes| !hashes.is_empty());
    if hashes
        .as_ref()
        .is_some_and(|hashes| hashes.len() > RECEIPT_HASHES_MAX)
    {
        return Err(invalid(format!(
            "more than {RECEIPT_HASHES_MAX} transaction hashes"
        )));
    }
    Ok(Request::TransactionReceipts(
        hashes.map(|hashes| hashes.into_iter().collect()),
    ))
}

fn parse_state_changes(argument: Option<Value>) -> RpcResult<Request> {
    let addresses: Vec<Address> = argument
        .ok_or_else(|| invalid("stateChanges takes a list of addresses"))
        .and_then(|addresses| serde_json::from_value(addresses).map_err(invalid))?;
    if addresses.len() > STATE_CHANGE_ADDRESSES_MAX {
        return Err(invalid(format!(
            "more than {STATE_CHANGE_ADDRESSES_MAX} addresses"
        )));
    }
    Ok(Request::StateChanges(addresses.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(params: &str) -> RpcResult<Request> {
        Request::parse(&Params::new(Some(params)))
    }

    #[test]
    fn kinds_and_their_arguments() {
        assert_eq!(parse(r#"["newHeads"]"#).unwrap(), Request::NewHeads);
        assert_eq!(parse(r#"["newHeads",{}]"#).unwrap(), Request::NewHeads);
        assert_eq!(parse(r#"["logs"]"#).unwrap(), Request::Logs(Box::default()));
        assert_eq!(
            parse(r#"["transactionReceipts",{"transactionHashes":[]}]"#).unwrap(),
            Request::TransactionReceipts(None)
        );
        let pending = parse(r#"["logs",{"fromBlock":"pending","toBlock":"pending"}]"#).unwrap();
        assert!(matches!(pending, Request::PendingLogs(_)));
        assert_eq!(
            parse(r#"["newPendingTransactions",true]"#).unwrap(),
            Request::NewPendingTransactions(TransactionDetail::Full)
        );
        let zero = Address::ZERO;
        let changes = parse(&format!(r#"["stateChanges",["{zero}"]]"#)).unwrap();
        assert_eq!(changes, Request::StateChanges([zero].into_iter().collect()));
    }

    #[test]
    fn what_makes_no_sense_is_an_invalid_parameter() {
        for params in [
            r#"["blocks"]"#,
            "[]",
            r#"["stateChanges"]"#,
            r#"["newPendingTransactions",5]"#,
            r#"["logs",5]"#,
        ] {
            assert_eq!(parse(params).unwrap_err().code(), -32602, "{params}");
        }
    }

    #[test]
    fn long_lists_are_refused() {
        let many = vec![Address::ZERO.to_string(); STATE_CHANGE_ADDRESSES_MAX + 1];
        assert!(parse(&serde_json::json!(["stateChanges", many]).to_string()).is_err());
    }
}
