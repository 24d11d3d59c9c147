//! Who goes first where threads want more cores than there are.

/// What the others wait for a thread for.
///
/// Above the ordinary ones are those that every transaction waits for. That takes a right of the process, as root or by
/// `CAP_SYS_NICE` or a limit of -15 (`LimitNICE` of a systemd unit); where it is not given they are ordinary ones. Threads
/// that one of these starts are as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It writes and publishes what is executed, and nobody knows of a transaction before; or it holds the pool's locks, and
    /// nobody submits one meanwhile. Little work each time.
    Publish,
    /// It executes.
    Execute,
    /// Nobody waits for it. With all cores taken it has about a third of the time of an ordinary one, enough to keep up
    /// with those that are waited for.
    Background,
}

impl Precedence {
    const fn niceness(self) -> i32 {
        match self {
            Self::Publish => -15,
            Self::Execute => -10,
            Self::Background => 5,
        }
    }

    /// Gives it to the calling thread, where the system has priorities of threads and allows it. It stays so.
    pub fn take(self) {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::setpriority_process(None, self.niceness()) {
            tracing::debug!(target: "chain", precedence = ?self, %error, "A thread keeps its priority");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = self.niceness();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn it_is_that_of_the_thread_and_of_those_it_starts() {
        let before = getpriority_process(None).unwrap();
        let in_background = || {
            Precedence::Background.take();
            std::thread::spawn(|| getpriority_process(None).unwrap()).join()
        };
        let started = std::thread::spawn(in_background).join().unwrap().unwrap();
        assert_eq!(started, 5);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[test]
    fn without_the_right_it_stays_as_it_was() {
        let publishes = || {
            let before = getpriority_process(None).unwrap();
            Precedence::Publish.take();
            (before, getpriority_process(None).unwrap())
        };
        let (before, after) = std::thread::spawn(publishes).join().unwrap();
        assert!(after == -15 || after == before, "{before} to {after}");
    }
}
