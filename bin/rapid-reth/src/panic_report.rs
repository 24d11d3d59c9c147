//! What a panic leaves behind.

use std::backtrace::Backtrace;

/// Makes every panic print its backtrace, as if `RUST_BACKTRACE` were 1; a set variable wins.
pub(crate) fn install() {
    let default = std::panic::take_hook();
    let forced = std::env::var_os("RUST_BACKTRACE").is_none();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        if forced {
            eprintln!("stack backtrace:\n{}", Backtrace::force_capture());
        }
    }));
}
