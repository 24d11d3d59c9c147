//! Threads that nobody waits for give way to those that somebody waits for.

/// How nice they are: with all cores taken such a thread has about a third of the time of one that is waited for, enough to
/// keep up with it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Makes the calling thread give way to the others, where the system has priorities of threads. It stays so.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(target: "chain", %error, "a thread keeps its priority");
    }
}
