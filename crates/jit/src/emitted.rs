//! What code generation gives: machine code that is not yet in executable memory.

/// Position-independent machine code.
#[derive(Debug)]
pub(crate) struct Emitted {
    pub(crate) code: Vec<u8>,
    /// Offset of the function of type [`crate::frame::Enter`].
    pub(crate) enter_offset: usize,
    /// For each trace what [`crate::frame::Frame::targets`] has for it, as an offset.
    pub(crate) target_offsets: Vec<u32>,
}
