//! State as its users see it.
