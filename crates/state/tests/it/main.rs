//! State as its users see it.

mod commit;
mod draft;
mod lease;
mod model;
mod property;
mod rewind;
mod stress;
