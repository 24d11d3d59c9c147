//! Judges answers: a byte scan for the usual case, a parse for everything else.

use super::{Request, Submit};
use crate::measure::ErrorTally;
use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;

/// What the scan looks for in the receipt of a successful transaction, as every serialiser in use writes it.
const SUCCESS: &[u8] = br#""status":"0x1""#;

#[derive(Deserialize)]
struct Answer {
    id: Option<usize>,
    #[serde(default)]
    result: Value,
    error: Option<Value>,
}

/// Which transactions of `request` the endpoint took; the others are counted in `errors`.
///
/// With [`Submit::Sync`] a transaction counts as taken when its receipt is there, even if it failed on the chain; the
/// failure is counted as an error too, since no workload has failing transactions.
pub(super) fn judge(request: &Request, submit: Submit, answer: &[u8], errors: &mut ErrorTally) -> Vec<usize> {
    if is_plain_success(request, submit, answer) {
        return (0..request.len).collect();
    }
    let answers: Vec<Answer> = match serde_json::from_slice(answer) {
        Ok(answers) => answers,
        Err(_) => match serde_json::from_slice(answer) {
            Ok(single) => vec![single],
            Err(_) => {
                errors.add("answer is not JSON-RPC");
                return Vec::new();
            }
        },
    };
    let mut taken = Vec::with_capacity(request.len);
    for answer in answers {
        match (answer.id, answer.error) {
            (_, Some(error)) => {
                errors.add(&format!(
                    "{} {}",
                    error["code"],
                    error["message"].as_str().unwrap_or_default()
                ));
            }
            (Some(id), None) if id < request.len => {
                taken.push(id);
                if submit == Submit::Sync && answer.result["status"] != "0x1" {
                    errors.add("transaction failed");
                }
            }
            (id, None) => errors.add(&format!("answer to a call that was not made: {id:?}")),
        }
    }
    taken
}

fn is_plain_success(request: &Request, submit: Submit, answer: &[u8]) -> bool {
    if memmem::find(answer, br#""error""#).is_some() {
        return false;
    }
    let sign: &[u8] = match submit {
        Submit::Sync => SUCCESS,
        Submit::Send => br#""result":"0x"#,
    };
    memmem::find_iter(answer, sign).count() == request.len
}

/// Whether `answer` to `eth_getTransactionReceipt` holds a receipt.
pub(super) fn has_receipt(answer: &[u8]) -> bool {
    memmem::find(answer, br#""transactionHash""#).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;

    fn request(len: usize) -> Request {
        Request {
            body: Bytes::new(),
            receipt: Bytes::new(),
            len,
        }
    }

    #[test]
    fn all_taken() {
        let mut errors = ErrorTally::default();
        let answer = br#"[{"jsonrpc":"2.0","id":0,"result":"0x1"},{"jsonrpc":"2.0","id":1,"result":"0x2"}]"#;
        assert_eq!(judge(&request(2), Submit::Send, answer, &mut errors), [0, 1]);
        assert_eq!(errors.total(), 0);
    }

    #[test]
    fn one_of_two_refused() {
        let mut errors = ErrorTally::default();
        let answer =
            br#"[{"id":1,"result":"0x2"},{"id":0,"error":{"code":-32000,"message":"nonce too low"}}]"#;
        assert_eq!(judge(&request(2), Submit::Send, answer, &mut errors), [1]);
        assert_eq!(errors.kinds().collect::<Vec<_>>(), [("-32000 nonce too low", 1)]);
    }

    #[test]
    fn spaced_json_is_understood() {
        let mut errors = ErrorTally::default();
        let answer = br#"{ "id": 0, "result": { "status": "0x1", "transactionHash": "0x" } }"#;
        assert_eq!(judge(&request(1), Submit::Sync, answer, &mut errors), [0]);
        assert_eq!(errors.total(), 0);
        assert!(has_receipt(answer));
    }

    #[test]
    fn a_failed_transaction_is_taken_and_counted() {
        let mut errors = ErrorTally::default();
        let answer = br#"{"id":0,"result":{"status":"0x0"}}"#;
        assert_eq!(judge(&request(1), Submit::Sync, answer, &mut errors), [0]);
        assert_eq!(errors.kinds().collect::<Vec<_>>(), [("transaction failed", 1)]);
    }

    #[test]
    fn nonsense_is_an_error() {
        let mut errors = ErrorTally::default();
        assert!(judge(&request(1), Submit::Send, b"<html>", &mut errors).is_empty());
        assert!(
            judge(
                &request(1),
                Submit::Send,
                br#"{"id":9,"result":null}"#,
                &mut errors
            )
            .is_empty()
        );
        assert_eq!(errors.total(), 2);
        assert!(!has_receipt(br#"{"id":0,"result":null}"#));
    }
}
