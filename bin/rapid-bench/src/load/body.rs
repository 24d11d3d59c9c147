//! Request bodies, made before the clock starts.

use super::Submit;
use crate::account::SignedTransaction;
use alloy_primitives::hex;
use hyper::body::Bytes;
use serde_json::json;

/// One request: a single call or a batch.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// JSON text.
    pub(crate) body: Bytes,
    /// For a single call: the body that asks for its receipt.
    pub(crate) receipt: Bytes,
    /// Transactions in it.
    pub(crate) len: usize,
}

/// Bodies for `transactions` in order, `batch` transactions each; a batch of one is a plain call.
pub(crate) fn requests(transactions: &[SignedTransaction], batch: usize, submit: Submit) -> Vec<Request> {
    transactions
        .chunks(batch.max(1))
        .map(|chunk| match chunk {
            [single] if batch <= 1 => Request {
                body: call(0, submit, single).into(),
                receipt: json!({"jsonrpc": "2.0", "id": 0, "method": "eth_getTransactionReceipt", "params": [single.hash]})
                    .to_string()
                    .into(),
                len: 1,
            },
            many => {
                let calls: Vec<_> =
                    many.iter().enumerate().map(|(id, signed)| call(id, submit, signed)).collect();
                Request { body: format!("[{}]", calls.join(",")).into(), receipt: Bytes::new(), len: many.len() }
            }
        })
        .collect()
}

fn call(id: usize, submit: Submit, signed: &SignedTransaction) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{}","params":["{}"]}}"#,
        submit.method(),
        hex::encode_prefixed(&signed.raw)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, bytes};
    use serde_json::Value;

    fn signed(count: u8) -> Vec<SignedTransaction> {
        (0..count)
            .map(|n| SignedTransaction {
                hash: B256::with_last_byte(n),
                raw: bytes!("02f8"),
            })
            .collect()
    }

    #[test]
    fn batches_hold_every_transaction_once() {
        let made = requests(&signed(7), 3, Submit::Send);
        assert_eq!(
            made.iter().map(|request| request.len).collect::<Vec<_>>(),
            [3, 3, 1]
        );
        let last: Value = serde_json::from_slice(&made[2].body).unwrap();
        assert_eq!(last[0]["method"], "eth_sendRawTransaction");
        assert_eq!(last[0]["params"][0], "0x02f8");
    }

    #[test]
    fn a_batch_of_one_is_a_plain_call() {
        let made = requests(&signed(1), 1, Submit::Sync);
        let body: Value = serde_json::from_slice(&made[0].body).unwrap();
        assert_eq!(body["method"], "eth_sendRawTransactionSync");
        let receipt: Value = serde_json::from_slice(&made[0].receipt).unwrap();
        assert_eq!(receipt["params"][0], B256::ZERO.to_string());
    }
}
