//! Transports: limits, tokens, namespaces, IPC.

use std::net::SocketAddr;

use alloy_rpc_types_engine::{Claims, JwtSecret};
use jsonrpsee::{
    RpcModule, core::client::ClientT, http_client::HttpClient, rpc_params, ws_client::WsClientBuilder,
};
use rapid_rpc::{
    AuthConfig, IpcConfig, IpcError, Namespace, NamespaceSelection, RpcModules, RpcServerConfig, RpcServers,
    ServerLimits, StartError, TcpConfig,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use crate::http;

fn modules() -> RpcModules {
    let mut modules = RpcModules::new();
    let mut eth = RpcModule::new(());
    eth.register_method("eth_chainId", |_, _, _| "0x539").unwrap();
    modules.merge(Namespace::Eth, eth).unwrap();
    let mut txpool = RpcModule::new(());
    txpool.register_method("txpool_status", |_, _, _| "full").unwrap();
    modules.merge(Namespace::Txpool, txpool).unwrap();
    modules
        .expose_on_auth(Namespace::Eth, &["eth_chainId", "eth_notThere"])
        .unwrap();
    modules
}

fn any_port() -> TcpConfig {
    TcpConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

async fn start(config: RpcServerConfig) -> RpcServers {
    RpcServers::start(config, modules()).await.unwrap()
}

#[tokio::test]
async fn http_and_ws_serve_the_selected_namespaces_on_one_port() {
    // A port that was just free, so that both can name it.
    let address = {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        probe.local_addr().unwrap()
    };
    let shared = TcpConfig::new(address);
    let config = RpcServerConfig {
        http: Some(shared.clone()),
        ws: Some(shared),
        ..RpcServerConfig::default()
    };
    let servers = start(config).await;
    assert_eq!((servers.http(), servers.ws()), (Some(address), Some(address)));
    let http = HttpClient::builder().build(format!("http://{address}")).unwrap();
    assert_eq!(
        http.request::<String, _>("eth_chainId", rpc_params![])
            .await
            .unwrap(),
        "0x539"
    );
    let ws = WsClientBuilder::default()
        .build(format!("ws://{address}"))
        .await
        .unwrap();
    assert_eq!(
        ws.request::<String, _>("eth_chainId", rpc_params![])
            .await
            .unwrap(),
        "0x539"
    );
    assert_eq!(
        http::fail(address, "txpool_status", json!([])).await["code"],
        -32601
    );
    servers.stop().await;
    assert!(
        ws.request::<String, _>("eth_chainId", rpc_params![])
            .await
            .is_err()
    );
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn rpc_modules_names_what_the_transport_serves() {
    let mut http_config = any_port();
    http_config.namespaces = "txpool,rpc".parse().unwrap();
    let servers = start(RpcServerConfig {
        http: Some(http_config),
        ..RpcServerConfig::default()
    })
    .await;
    let served = http::call(servers.http().unwrap(), "rpc_modules", json!([])).await;
    assert_eq!(served, json!({"txpool": "1.0", "rpc": "1.0"}));
}

#[tokio::test]
async fn bad_requests_get_the_codes_that_clients_know() {
    let limits = ServerLimits {
        max_request_bytes: 1000,
        max_batch_entries: 2,
        ..ServerLimits::default()
    };
    let servers = start(RpcServerConfig {
        http: Some(any_port()),
        limits,
        ..RpcServerConfig::default()
    })
    .await;
    let address = servers.http().unwrap();
    let code = |body: &str| serde_json::from_str::<Value>(body).unwrap()["error"]["code"].clone();

    let (_, body) = http::post(address, "", r#"{"jsonrpc":"2.0","id":1,"#).await;
    assert_eq!(code(&body), -32700);
    let (status, body) = http::post(address, "", "nonsense").await;
    assert_eq!((status, code(&body)), (400, json!(-32700)));
    let (_, body) = http::post(address, "", r#"{"id":1}"#).await;
    assert_eq!(code(&body), -32600);
    assert_eq!(
        http::fail(address, "eth_nothing", json!([])).await["code"],
        -32601
    );

    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    let (_, body) = http::post(address, "", &format!("[{call},{call},{call}]")).await;
    assert_eq!(code(&body), -32010);
    let (status, body) = http::post(address, "", &format!("[{}]", " ".repeat(1000))).await;
    assert_eq!((status, code(&body)), (413, json!(-32007)));
}

#[tokio::test]
async fn a_connection_beyond_the_bound_is_told_and_closed() {
    let limits = ServerLimits {
        max_connections: 1,
        ..ServerLimits::default()
    };
    let servers = start(RpcServerConfig {
        http: Some(any_port()),
        ws: Some(any_port()),
        limits,
        ..RpcServerConfig::default()
    })
    .await;
    let ws = WsClientBuilder::default()
        .build(format!("ws://{}", servers.ws().unwrap()))
        .await
        .unwrap();
    assert_eq!(
        ws.request::<String, _>("eth_chainId", rpc_params![])
            .await
            .unwrap(),
        "0x539"
    );
    let (status, _) = http::post(servers.http().unwrap(), "", "{}").await;
    assert_eq!(status, 429);
}

#[tokio::test]
async fn the_jwt_port_wants_a_token() {
    let secret = JwtSecret::random();
    let auth = AuthConfig {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        secret,
    };
    let servers = start(RpcServerConfig {
        auth: Some(auth),
        ..RpcServerConfig::default()
    })
    .await;
    let address = servers.auth().unwrap();
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    assert_eq!(http::post(address, "", call).await.0, 401);
    let foreign = JwtSecret::random()
        .encode(&Claims::with_current_timestamp())
        .unwrap();
    assert_eq!(
        http::post(address, &format!("authorization: Bearer {foreign}\r\n"), call)
            .await
            .0,
        401
    );
    let token = secret.encode(&Claims::with_current_timestamp()).unwrap();
    let (status, body) = http::post(address, &format!("authorization: Bearer {token}\r\n"), call).await;
    assert_eq!(status, 200);
    assert!(body.contains("0x539"), "{body}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_and_leaves_nothing_listening() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.ipc");
    let config = RpcServerConfig {
        http: Some(TcpConfig::new(taken.local_addr().unwrap())),
        ipc: Some(IpcConfig {
            path: path.clone(),
            permissions: None,
        }),
        ..RpcServerConfig::default()
    };
    let error = RpcServers::start(config, modules()).await.unwrap_err();
    assert!(
        matches!(error, StartError::Bind { server: "http", .. }),
        "{error}"
    );
    assert!(!path.exists());
}

#[tokio::test]
async fn ipc_answers_messages_however_they_are_cut() {
    let directory = tempfile::tempdir().unwrap();
    let ipc = IpcConfig {
        path: directory.path().join("node.ipc"),
        permissions: None,
    };
    let servers = start(RpcServerConfig {
        ipc: Some(ipc.clone()),
        ..RpcServerConfig::default()
    })
    .await;
    let second = RpcServers::start(
        RpcServerConfig {
            ipc: Some(ipc),
            ..RpcServerConfig::default()
        },
        modules(),
    );
    assert!(matches!(second.await, Err(StartError::Ipc(IpcError::InUse(_)))));

    let stream = UnixStream::connect(servers.ipc().unwrap()).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let mut answers = BufReader::new(reader).lines();
    let mut answer =
        async || -> Value { serde_json::from_str(&answers.next_line().await.unwrap().unwrap()).unwrap() };
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"txpool_status"}"#;
    let (head, tail) = call.split_at(20);
    writer.write_all(head.as_bytes()).await.unwrap();
    writer.flush().await.unwrap();
    writer.write_all(tail.as_bytes()).await.unwrap();
    assert_eq!(
        answer().await,
        json!({"jsonrpc": "2.0", "id": 7, "result": "full"})
    );
    writer
        .write_all(format!("[{call},{call}]").as_bytes())
        .await
        .unwrap();
    assert_eq!(answer().await.as_array().unwrap().len(), 2);
    writer.write_all(b"nonsense\n").await.unwrap();
    assert_eq!(answer().await["error"]["code"], -32700);
    // What was asked before the client closed its half is still answered.
    writer.write_all(call.as_bytes()).await.unwrap();
    drop(writer);
    assert_eq!(answer().await["result"], "full");

    let path = servers.ipc().unwrap().to_owned();
    servers.stop().await;
    while path.exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cors_answers_browsers() {
    let mut config = any_port();
    config.cors = Some("https://example.org".to_owned());
    config.namespaces = NamespaceSelection::standard();
    let servers = start(RpcServerConfig {
        http: Some(config),
        ..RpcServerConfig::default()
    })
    .await;
    let address = servers.http().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let preflight = "OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: https://example.org\r\n\
                     access-control-request-method: POST\r\nconnection: close\r\n\r\n";
    stream.write_all(preflight.as_bytes()).await.unwrap();
    let mut response = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut response)
        .await
        .unwrap();
    assert!(
        response.contains("access-control-allow-origin: https://example.org"),
        "{response}"
    );
    let bad = TcpConfig {
        cors: Some("*,https://example.org".to_owned()),
        ..any_port()
    };
    let config = RpcServerConfig {
        http: Some(bad),
        ..RpcServerConfig::default()
    };
    assert!(matches!(
        RpcServers::start(config, modules()).await,
        Err(StartError::InvalidOrigin(_))
    ));
}
