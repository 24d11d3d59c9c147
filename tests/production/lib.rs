//! Blocks whose outcome is known, made by production and compared: what the conformance runner does with
//! `--executor production`, in a library so that tests can show that it notices what is wrong.
//!
//! - **In:** valid blocks ([`Lineage::check`]), or a [`Subject`] with the content of the state before it ([`check`]).
//! - **Out:** what was done ([`Checked`]), or the first thing that differs ([`Fault`]).
//! - **Owns:** a scratch [`State`](rapid_state::State) for each execution, and the workers on it while they run.
//! - **Must hold:** production is never spared: what the sequencer would execute here because that is cheaper goes to the
//!   workers all the same. All at once is meant: workers wait for each other before they begin.
//!
//! ```text
//!  content before --+--> production, one transaction after the other --+--> header, expected roots
//!                   |                                                  +--> one after the other in place: equal
//!                   +--> production, all at once: an order ---------------> that order, one after the other: equal
//! ```

mod check;
mod content;
mod fault;
mod gate;
mod lineage;
mod opened;
mod outcome;
mod producer;
mod replay;
mod subject;

pub use check::{Checked, Expected, check};
pub use content::Content;
pub use fault::Fault;
pub use lineage::Lineage;
pub use subject::{Hashes, Rules, Subject};

#[cfg(test)]
mod tests;
