//! Layers around every call, whatever the transport.

pub(crate) mod batch;
pub(crate) mod metered;
