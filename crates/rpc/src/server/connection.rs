//! A socket that can be closed from outside and that closes itself when its peer stalls.
//!
//! jsonrpsee has no way to end a WebSocket connection from a subscription, and no deadline for a peer that does not
//! read. Both live here, below HTTP, so that they hold for every transport alike.

use std::{
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{Notify, futures::OwnedNotified},
    time::{Instant, Sleep},
};

/// Closes the connection it belongs to. Cheap to clone; travels in the extensions of every request.
#[derive(Clone, Default)]
pub struct ConnectionSwitch(Arc<SwitchState>);

#[derive(Default)]
struct SwitchState {
    off: AtomicBool,
    changed: Arc<Notify>,
}

impl ConnectionSwitch {
    /// Ends the connection at once: reads and writes fail from here on.
    pub fn close(&self) {
        self.0.off.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }

    /// Whether [`Self::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.off.load(Ordering::Acquire)
    }
}

impl fmt::Debug for ConnectionSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionSwitch")
            .field(&self.is_closed())
            .finish()
    }
}

/// Deadlines of a [`Connection`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// How long the peer may refuse bytes.
    pub(crate) write_stall: Duration,
    /// How long the peer may send nothing; `None` for ever.
    pub(crate) read_idle: Option<Duration>,
}

/// A stream with a switch and deadlines.
pub(crate) struct Connection<S> {
    inner: S,
    switch: ConnectionSwitch,
    /// One per direction: reader and writer may be different tasks with different wakers.
    read_closed: Pin<Box<OwnedNotified>>,
    write_closed: Pin<Box<OwnedNotified>>,
    deadlines: Deadlines,
    idle: Option<Pin<Box<Sleep>>>,
    /// Set while a write is refused.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Connection<S> {
    pub(crate) fn new(inner: S, deadlines: Deadlines) -> Self {
        let switch = ConnectionSwitch::default();
        let notified = || Box::pin(switch.0.changed.clone().notified_owned());
        let (read_closed, write_closed) = (notified(), notified());
        let idle = deadlines.read_idle.map(|idle| Box::pin(tokio::time::sleep(idle)));
        Self {
            inner,
            switch,
            read_closed,
            write_closed,
            deadlines,
            idle,
            stall: None,
        }
    }

    pub(crate) fn switch(&self) -> ConnectionSwitch {
        self.switch.clone()
    }

    /// Result of a write that the peer accepted or refused.
    fn after_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stall = None;
            return result;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.deadlines.write_stall)));
        if stall.as_mut().poll(cx).is_ready() {
            metrics::counter!("rapid_reth_rpc_stalled_connections_total").increment(1);
            self.switch.close();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn write_is_off(&mut self, cx: &mut Context<'_>) -> bool {
        self.switch.is_closed() || self.write_closed.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.switch.is_closed() || self.read_closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if result.is_ready() {
            let this = &mut *self;
            if let Some((idle, sleep)) = this.deadlines.read_idle.zip(this.idle.as_mut()) {
                sleep.as_mut().reset(Instant::now() + idle);
            }
            return result;
        }
        if self
            .idle
            .as_mut()
            .is_some_and(|idle| idle.as_mut().poll(cx).is_ready())
        {
            metrics::counter!("rapid_reth_rpc_idle_connections_closed_total").increment(1);
            self.switch.close();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_is_off(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.after_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_is_off(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.after_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_is_off(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.after_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENT: Deadlines = Deadlines {
        write_stall: Duration::from_secs(3600),
        read_idle: None,
    };

    #[tokio::test]
    async fn the_switch_ends_a_waiting_reader_and_a_waiting_writer() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let connection = Connection::new(ours, PATIENT);
        let switch = connection.switch();
        let (mut reader, mut writer) = tokio::io::split(connection);
        let reading = tokio::spawn(async move { reader.read_u8().await.map_err(|error| error.kind()) });
        let writing =
            tokio::spawn(async move { writer.write_all(&[0; 64]).await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        switch.close();
        assert_eq!(reading.await.unwrap(), Err(io::ErrorKind::ConnectionAborted));
        assert_eq!(writing.await.unwrap(), Err(io::ErrorKind::ConnectionAborted));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_closed() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut connection = Connection::new(
            ours,
            Deadlines {
                write_stall: Duration::from_millis(5),
                ..PATIENT
            },
        );
        let error = connection.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(connection.switch().is_closed());
    }

    #[tokio::test]
    async fn a_silent_peer_is_closed() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut connection = Connection::new(
            ours,
            Deadlines {
                read_idle: Some(Duration::from_millis(5)),
                ..PATIENT
            },
        );
        theirs.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
        assert_eq!(
            connection.read_u8().await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }
}
