//! JSON-RPC over a Unix socket.
//!
//! In: connections on a socket file, each a stream of JSON objects and arrays (batches). Out: answers and
//! notifications, each followed by a line end. Owns: the socket file, removed at the end, and one reader, one writer
//! and a bounded number of call tasks per connection.

mod framing;
mod service;

use std::{
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jsonrpsee::{
    BoundedSubscriptions, ConnectionId, MethodResponse, MethodSink, Methods,
    core::middleware::RpcServiceT,
    server::{BatchRequestConfig, IdProvider, StopHandle},
    types::{Extensions, Id, error::reject_too_big_request},
};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
};

use crate::{
    config::{IpcConfig, ServerLimits},
    server::connection::{Connection, ConnectionSwitch, Deadlines},
};
use framing::Framer;
pub(crate) use service::{CallContext, answer_message};

/// Bytes read from a connection at a time.
const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum IpcError {
    /// Another process answers on the socket.
    #[error("IPC socket {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Something that is no socket lies at the path; it is left alone.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The file system said no.
    #[error("cannot open IPC socket {}: {source}", path.display())]
    Io {
        /// Path of the socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Binds the socket. The file that a dead process left behind is replaced; a live one is an error.
pub(crate) fn bind(config: &IpcConfig) -> Result<UnixListener, IpcError> {
    let path = &config.path;
    let io_error = |source| IpcError::Io {
        path: path.clone(),
        source,
    };
    remove_stale(path)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(io_error)?;
    }
    let listener = UnixListener::bind(path).map_err(io_error)?;
    if let Some(mode) = config.permissions {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(io_error)?;
    }
    Ok(listener)
}

fn remove_stale(path: &Path) -> Result<(), IpcError> {
    let io_error = |source| IpcError::Io {
        path: path.to_owned(),
        source,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(IpcError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(IpcError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io_error)
        }
        Err(error) => Err(io_error(error)),
    }
}

/// What every connection of the socket shares.
pub(crate) struct IpcServer {
    pub(crate) methods: Methods,
    pub(crate) limits: ServerLimits,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) ids: Arc<dyn IdProvider>,
    pub(crate) path: PathBuf,
}

/// Accepts connections until stopped, then removes the socket file. `wrap` puts the layers around a connection's
/// service.
pub(crate) async fn serve<S, F>(server: IpcServer, listener: UnixListener, stop: StopHandle, wrap: F)
where
    F: Fn(CallContext) -> S + Send + 'static,
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Send
        + Sync
        + 'static,
{
    let next_id = AtomicUsize::new(0);
    let stopped = stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept an IPC connection");
                    // Out of file descriptors: trying again at once would only burn a core.
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                }
            },
            () = &mut stopped => break,
        };
        let Ok(permit) = server.connections.clone().try_acquire_owned() else {
            metrics::counter!("rapid_reth_rpc_refused_connections_total", "transport" => "ipc").increment(1);
            continue;
        };
        let id = ConnectionId(next_id.fetch_add(1, Ordering::Relaxed));
        let connection = OpenConnection::new(&server, id, stream);
        let service = wrap(connection.context.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            metrics::counter!("reth_rpc_server_connections_connections_opened_total", "transport" => "ipc")
                .increment(1);
            connection.run(service, stop).await;
            metrics::counter!("reth_rpc_server_connections_connections_closed_total", "transport" => "ipc")
                .increment(1);
            drop(permit);
        });
    }
    if let Err(error) = std::fs::remove_file(&server.path) {
        tracing::debug!(%error, path = %server.path.display(), "cannot remove the IPC socket");
    }
}

struct OpenConnection {
    stream: Connection<UnixStream>,
    switch: ConnectionSwitch,
    outgoing: mpsc::Receiver<Box<RawValue>>,
    context: CallContext,
    limits: ServerLimits,
}

impl OpenConnection {
    fn new(server: &IpcServer, connection: ConnectionId, stream: UnixStream) -> Self {
        let limits = server.limits;
        // A local tool may keep its socket open for days without a word.
        let deadlines = Deadlines {
            write_stall: limits.write_stall,
            read_idle: None,
        };
        let stream = Connection::new(stream, deadlines);
        let switch = stream.switch();
        let (sender, outgoing) = mpsc::channel(limits.message_buffer_messages as usize);
        let mut extensions = Extensions::new();
        extensions.insert(switch.clone());
        extensions.insert(connection);
        let context = CallContext {
            methods: server.methods.clone(),
            connection,
            subscriptions: BoundedSubscriptions::new(limits.max_subscriptions_per_connection),
            ids: server.ids.clone(),
            sink: MethodSink::new(sender),
            max_response_bytes: limits.max_response_bytes as usize,
            extensions,
        };
        Self {
            stream,
            switch,
            outgoing,
            context,
            limits,
        }
    }

    async fn run<S>(self, service: S, stop: StopHandle)
    where
        S: RpcServiceT<
                MethodResponse = MethodResponse,
                BatchResponse = MethodResponse,
                NotificationResponse = MethodResponse,
            > + Send
            + Sync
            + 'static,
    {
        let Self {
            stream,
            switch,
            outgoing,
            context,
            limits,
        } = self;
        let (reader, writer) = tokio::io::split(stream);
        let (finish, finished) = oneshot::channel();
        let mut writing = tokio::spawn(write_messages(writer, outgoing, finished));
        let running = Arc::new(Semaphore::new(limits.max_concurrent_ipc_requests));
        let reading = read_messages(reader, Arc::new(service), context.sink, (limits, running.clone()));
        tokio::select! {
            () = reading => {}
            () = stop.shutdown() => {}
            _ = &mut writing => return,
        }
        // The peer may have closed its half only and still wait for answers to what it asked.
        let all = limits.max_concurrent_ipc_requests as u32;
        let _answered = tokio::time::timeout(limits.stop_grace, running.acquire_many(all)).await;
        let _ended = finish.send(());
        if tokio::time::timeout(limits.stop_grace, writing).await.is_err() {
            switch.close();
        }
    }
}

async fn read_messages<R, S>(
    mut reader: R,
    service: Arc<S>,
    sink: MethodSink,
    (limits, running): (ServerLimits, Arc<Semaphore>),
) where
    R: AsyncRead + Unpin,
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Send
        + Sync
        + 'static,
{
    let batches = BatchRequestConfig::Limit(limits.max_batch_entries);
    let mut framer = Framer::new(limits.max_request_bytes as usize);
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        let read = match reader.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        framer.push(&chunk[..read]);
        loop {
            let message = match framer.next_message() {
                Ok(None) => break,
                Ok(Some(message)) => message.to_vec(),
                Err(_) => {
                    let error = reject_too_big_request(limits.max_request_bytes);
                    let _closed = sink.send_error(Id::Null, error).await;
                    return;
                }
            };
            let permit = running
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let (service, sink) = (service.clone(), sink.clone());
            tokio::spawn(async move {
                let answer = tokio::select! {
                    answer = answer_message(&*service, &message, batches) => answer,
                    () = sink.closed() => None,
                };
                if let Some(answer) = answer {
                    let _closed = sink.send(answer).await;
                }
                drop(permit);
            });
        }
    }
}

/// Writes messages until told to finish; what is queued then still goes out.
async fn write_messages<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut outgoing: mpsc::Receiver<Box<RawValue>>,
    mut finished: oneshot::Receiver<()>,
) {
    let mut bytes = Vec::new();
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            _ = &mut finished, if !outgoing.is_closed() => {
                outgoing.close();
                continue;
            }
        };
        let Some(message) = message else { return };
        bytes.clear();
        bytes.extend_from_slice(message.get().as_bytes());
        bytes.push(b'\n');
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
        bytes.shrink_to(READ_CHUNK_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let config = IpcConfig {
            path: directory.path().join("node.ipc"),
            permissions: Some(0o600),
        };
        let live = bind(&config).unwrap();
        assert!(matches!(bind(&config), Err(IpcError::InUse(_))));
        drop(live);
        assert!(config.path.exists(), "a killed process leaves the file behind");
        let _replaced = bind(&config).unwrap();
        let mode = std::fs::metadata(&config.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let config = IpcConfig {
            path: directory.path().join("notes.txt"),
            permissions: None,
        };
        std::fs::write(&config.path, "keep").unwrap();
        assert!(matches!(bind(&config), Err(IpcError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&config.path).unwrap(), "keep");
    }
}
