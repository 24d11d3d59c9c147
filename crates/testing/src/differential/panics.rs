//! Panics as findings.

use std::{any::Any, cell::RefCell, panic};

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics of this process are not printed; their place is told with what they say. For programs whose
/// findings are panics among others.
pub fn keep_panics_quiet() {
    panic::set_hook(Box::new(|panic| {
        PLACE.with_borrow_mut(|place| *place = panic.location().map(ToString::to_string));
    }));
}

/// What a panic that was just caught on this thread said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    let place = PLACE.take().map(|place| format!(" at {place}"));
    format!("panicked{}: {text}", place.unwrap_or_default())
}
