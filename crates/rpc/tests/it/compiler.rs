//! The compiler behind the methods: calls run its code, `reth_jit` switches it, `reth_jitStatus` tells about it.

use alloy_primitives::{Bytes, U256, hex};
use rapid_evm::{Compiler, ShadowInterval};
use rapid_jit::runtime::{Compiling, Runtime, RuntimeConfig};
use rapid_rpc::EthConfig;
use serde_json::{Value, json};

use crate::node::Node;

/// Sums the numbers up to its input.
const SUM: &[u8] = &hex!("5f355f5b811560145781019060019003906003565b5f5260205ff3");

async fn sum_of(node: &Node, number: u64) -> Value {
    let to = "0x00000000000000000000000000000000000c0de5";
    let request = json!({ "to": to, "data": Bytes::from(U256::from(number).to_be_bytes_vec()) });
    let code = json!({ to: { "code": Bytes::from_static(SUM) } });
    node.call("eth_call", json!([request, "latest", code])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_machine_code_and_the_compiler_is_switched() {
    let node = Node::start(EthConfig::default()).await;
    assert_eq!(
        node.code("reth_jitStatus", json!([])).await,
        -32003,
        "there is no compiler"
    );
    let runtime = Runtime::start(RuntimeConfig {
        fast_gas: 0,
        compiling: Compiling::Blocking,
        ..RuntimeConfig::default()
    })
    .unwrap();
    node.chain()
        .attach_compiler(Compiler::new(runtime, ShadowInterval::one_in(1)));
    let entered = async || {
        node.call("reth_jitStatus", json!([])).await["entered"]
            .as_u64()
            .unwrap()
    };

    let expected = json!(Bytes::from(U256::from(5050).to_be_bytes_vec()));
    assert_eq!(sum_of(&node, 100).await, expected);
    let compiled = entered().await;
    assert!(compiled > 0);

    assert_eq!(node.call("reth_jit", json!(["disable"])).await, Value::Null);
    assert_eq!(node.call("reth_jitStatus", json!([])).await["enabled"], false);
    assert_eq!(sum_of(&node, 100).await, expected);
    assert_eq!(entered().await, compiled);

    assert_eq!(node.call("reth_jit", json!(["enable"])).await, Value::Null);
    assert_eq!(sum_of(&node, 100).await, expected);
    assert!(entered().await > compiled);
    assert_eq!(node.call("reth_jitStatus", json!([])).await["quarantined"], 0);

    for (parameters, code) in [
        (json!([]), -32602),
        (json!(["?"]), -32602),
        (json!([true]), -32602),
        (json!(["pause"]), -32003),
        (json!(["clear"]), -32003),
    ] {
        assert_eq!(
            node.code("reth_jit", parameters.clone()).await,
            code,
            "{parameters}"
        );
    }
}
