//! Code that one thread has met, in memory of its own.
//!
//! Code is shared by reference count, and a count that several cores change goes from core to core with every call: that
//! costs as much as a tenth of a token transfer with two cores, and more with each further one. So an executor keeps what it
//! meets often, with counts that nobody else changes, and does not ask the state, which has a lock there.

use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::{Bytecode, JumpTable, opcode};

/// Codes kept at once: 24 MiB where all are of the largest size (EIP-170). When there would be more, all are forgotten.
const CODES_MAX: usize = 1_024;

/// Times that a code is met before it is copied. To analyse the copy takes as long as a hundred calls.
const MET_BEFORE_COPY: u32 = 64;

/// The code that an executor has met.
#[derive(Clone, Debug, Default)]
pub struct NearCodes {
    codes: B256Map<NearCode>,
    nothing: Option<Bytecode>,
}

#[derive(Clone, Debug)]
struct NearCode {
    code: Bytecode,
    /// Until it is copied.
    met: u32,
}

impl NearCodes {
    /// The code with this hash; `find` is asked where it was not met.
    ///
    /// # Errors
    /// Those of `find`.
    pub fn get_or_try_find<E>(
        &mut self,
        hash: &B256,
        find: impl FnOnce() -> Result<Bytecode, E>,
    ) -> Result<Bytecode, E> {
        if let Some(near) = self.codes.get_mut(hash) {
            near.meet();
            return Ok(near.code.clone());
        }
        let code = find()?;
        if self.codes.len() >= CODES_MAX {
            self.codes.clear();
        }
        let near = NearCode {
            code: code.clone(),
            met: 0,
        };
        self.codes.insert(*hash, near);
        Ok(code)
    }

    /// The code of accounts without any.
    pub fn nothing(&mut self) -> Bytecode {
        self.nothing.get_or_insert_with(own_nothing).clone()
    }
}

impl NearCode {
    fn meet(&mut self) {
        if self.met == MET_BEFORE_COPY {
            return;
        }
        self.met += 1;
        if self.met == MET_BEFORE_COPY {
            self.code = copy(&self.code);
        }
    }
}

/// The same code, in no memory that others know.
fn copy(code: &Bytecode) -> Bytecode {
    match code.eip7702_address() {
        Some(address) => Bytecode::new_eip7702(address),
        None => Bytecode::new_legacy(Bytes::copy_from_slice(code.original_byte_slice())),
    }
}

/// What [`Bytecode::default`] is, which all threads share.
#[expect(
    unsafe_code,
    reason = "revm has no other way to make code that is nothing and not shared"
)]
fn own_nothing() -> Bytecode {
    let padded = Bytes::from_static(&[opcode::STOP]);
    // SAFETY: one STOP after no code is how `Bytecode::default` pads it, and nothing is executed beyond a STOP.
    let nothing = unsafe { Bytecode::new_analyzed(padded, 0, JumpTable::default()) };
    nothing.hash_slow();
    nothing
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use alloy_primitives::{Address, KECCAK256_EMPTY};

    use super::*;

    fn meet(codes: &mut NearCodes, code: &Bytecode) -> Bytecode {
        let find = || Ok::<_, Infallible>(code.clone());
        let Ok(met) = codes.get_or_try_find(&code.hash_slow(), find);
        met
    }

    #[test]
    fn what_is_met_often_is_copied_once_and_stays_the_same() {
        let contract = Bytecode::new_legacy(Bytes::from_static(&[0x60, 0x01, 0x5b, 0x00]));
        let delegation = Bytecode::new_eip7702(Address::repeat_byte(7));
        for code in [contract, delegation] {
            let mut codes = NearCodes::default();
            let places: Vec<_> = (0..2 * MET_BEFORE_COPY)
                .map(|_| {
                    let met = meet(&mut codes, &code);
                    assert_eq!((met.kind(), &met), (code.kind(), &code));
                    assert_eq!(met.legacy_jump_table(), code.legacy_jump_table());
                    met.bytecode_ptr()
                })
                .collect();
            let changes = places.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!((changes, places[0]), (1, code.bytecode_ptr()));
        }
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let mut codes = NearCodes::default();
        for number in 0..3 * CODES_MAX as u32 {
            let code = Bytecode::new_legacy(Bytes::copy_from_slice(&number.to_be_bytes()));
            assert_eq!(meet(&mut codes, &code), code);
            assert!(codes.codes.len() <= CODES_MAX);
        }
    }

    #[test]
    fn what_is_not_found_is_asked_for_again() {
        let mut codes = NearCodes::default();
        let code = Bytecode::new_legacy(Bytes::from_static(&[1]));
        assert_eq!(codes.get_or_try_find(&code.hash_slow(), || Err(1)), Err(1));
        assert_eq!(meet(&mut codes, &code), code);
    }

    #[test]
    fn nothing_is_what_it_is_elsewhere() {
        let mut codes = NearCodes::default();
        let nothing = codes.nothing();
        assert!(nothing.is_empty() && nothing.is_legacy());
        assert_eq!(nothing, Bytecode::default());
        assert_eq!(nothing.hash_slow(), KECCAK256_EMPTY);
        assert_eq!(nothing.bytes_slice(), Bytecode::default().bytes_slice());
        assert_eq!(
            nothing.legacy_jump_table(),
            Bytecode::default().legacy_jump_table()
        );
    }
}
