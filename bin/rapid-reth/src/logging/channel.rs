//! Log lines on their way to the file.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tracing_subscriber::fmt::MakeWriter;

use super::rotation::RotatingFile;

/// Lines that may wait for the disk. A thread that logs never waits for it: when this many wait, further lines are dropped
/// and counted, and the count is written when the disk takes lines again.
const LINES_MAX: usize = 16_384;

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Stop,
}

/// Hands lines to the thread that owns the file.
#[derive(Clone, Debug)]
pub(crate) struct LogFileWriter {
    lines: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Writes out everything that was logged before it was dropped.
#[derive(Debug)]
pub(crate) struct LogFileGuard {
    lines: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl LogFileWriter {
    /// Starts the writing thread.
    ///
    /// # Panics
    /// If the system has no thread left for it.
    pub(crate) fn start(file: RotatingFile) -> (Self, LogFileGuard) {
        let (sender, receiver) = crossbeam_channel::bounded(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let thread = std::thread::Builder::new()
            .name("log-file".to_owned())
            .spawn(move || write_lines(&receiver, file, &counter))
            .expect("a thread at the start of the process");
        let guard = LogFileGuard {
            lines: sender.clone(),
            thread: Some(thread),
        };
        (
            Self {
                lines: sender,
                dropped,
            },
            guard,
        )
    }
}

fn write_lines(lines: &Receiver<Message>, mut file: RotatingFile, dropped: &AtomicU64) {
    // A full disk must not fill stderr as well: the first failure is told, the rest is silent.
    let mut told = false;
    while let Ok(Message::Line(line)) = lines.recv() {
        let lost = dropped.swap(0, Ordering::Relaxed);
        let mut result = file.write_line(&line);
        if lost > 0 && result.is_ok() {
            result =
                file.write_line(format!("{lost} log lines were dropped: the disk was too slow\n").as_bytes());
        }
        if let Err(error) = result
            && !told
        {
            told = true;
            let _ = writeln!(io::stderr(), "the log file cannot be written: {error}");
        }
    }
}

impl Drop for LogFileGuard {
    fn drop(&mut self) {
        // Fails only if the thread is gone, and then there is nothing to wait for either.
        let _ = self.lines.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<'writer> MakeWriter<'writer> for LogFileWriter {
    type Writer = &'writer Self;

    fn make_writer(&'writer self) -> Self::Writer {
        self
    }
}

impl Write for &LogFileWriter {
    /// Takes one whole line: the formatter writes each event with a single call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("rapid_reth_log_file_lines_dropped_total").increment(1);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_in_the_file_when_the_guard_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let file = RotatingFile::open(dir.path(), "l", 1 << 20, 1).unwrap();
        let (writer, guard) = LogFileWriter::start(file);
        for number in 0..1000 {
            (&writer).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(guard);
        let text = std::fs::read_to_string(dir.path().join("l")).unwrap();
        assert_eq!(
            text,
            (0..1000).map(|number| format!("{number}\n")).collect::<String>()
        );
        (&writer)
            .write_all(b"after the end")
            .expect("logging never fails its caller");
    }
}
