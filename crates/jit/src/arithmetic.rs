//! Operations that are calls from machine code and not a few instructions in it.
//!
//! All have the form of [`Operation`]: operands and result in memory, which may be the same. The first operand is the top
//! of the stack.

mod division;

use revm::primitives::U256;

use crate::{analysis::values::sign_extend, frame::Frame, keccak_memo};

/// `operation(result, operands)`: the operands lie one behind the other.
pub(crate) type Operation = unsafe extern "C" fn(*mut U256, *const U256);

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident($($operand:ident),+) $body:expr;)+) => {$(
        $(#[$doc])*
        #[expect(unsafe_code, reason = "called by machine code with operands in its frame")]
        pub(crate) unsafe extern "C" fn $name(result: *mut U256, operands: *const U256) {
            // SAFETY: machine code passes as many initialised words as the operation has operands, and a place for one.
            unsafe {
                let mut next = operands;
                $(let $operand = next.read(); next = next.add(1);)+
                let _ = next;
                result.write($body);
            }
        }
    )+};
}

operations! {
    /// DIV.
    divide(a, b) division::divide(a, b);
    /// MOD.
    remainder(a, b) division::remainder(a, b);
    /// SDIV.
    divide_signed(a, b) division::divide_signed(a, b);
    /// SMOD.
    remainder_signed(a, b) division::remainder_signed(a, b);
    /// ADDMOD.
    add_modulo(a, b, modulus) division::add_modulo(a, b, modulus);
    /// MULMOD.
    multiply_modulo(a, b, modulus) division::multiply_modulo(a, b, modulus);
    /// SIGNEXTEND.
    extend_sign(last_byte, word) sign_extend(last_byte, word);
}

/// `hash(result, start, len)`: Keccak-256 of memory.
#[expect(unsafe_code, reason = "called by machine code")]
pub(crate) unsafe extern "C" fn hash(result: *mut U256, start: *const u8, len: u64) {
    // SAFETY: machine code has made memory hold these bytes.
    let bytes = unsafe { std::slice::from_raw_parts(start, len as usize) };
    // SAFETY: and passes a place for a word.
    unsafe { result.write(keccak_memo(bytes).into()) };
}

/// `read_calldata(result, frame, offset)`: CALLDATALOAD at `*offset`, wherever that is.
#[expect(unsafe_code, reason = "called by machine code")]
pub(crate) unsafe extern "C" fn read_calldata(result: *mut U256, frame: *const Frame, offset: *const U256) {
    // SAFETY: machine code passes its frame, whose input is live, and an initialised word.
    let (input, offset) = unsafe {
        let frame = &*frame;
        (
            std::slice::from_raw_parts(frame.calldata, frame.calldata_len as usize),
            usize::try_from(offset.read()).unwrap_or(usize::MAX),
        )
    };
    let mut word = [0; 32];
    if let Some(rest) = input.get(offset..) {
        let len = rest.len().min(32);
        word[..len].copy_from_slice(&rest[..len]);
    }
    // SAFETY: and a place for a word.
    unsafe { result.write(U256::from_be_bytes(word)) };
}
