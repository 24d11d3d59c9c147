//! Code that one thread has met, in memory of its own.
//!
//! Code is shared by reference count, and a count that several cores change goes from core to core with every call. So an
//! executor keeps what it meets, does not ask the state for it again, which has a lock there, and copies what it meets very
//! often, so that nobody else changes its count. With two cores that makes no difference that can be measured; it is for many.

use alloy_primitives::{B256, Bytes, map::B256Map};
use revm::bytecode::Bytecode;

/// Bytes of the code kept at once. When there would be more, all of it is forgotten, and met anew.
const BYTES_MAX: usize = 16 << 20;

/// What keeping a code takes besides its bytes, at most: so very many that are short are not kept either.
const BYTES_BESIDES: usize = 256;

/// Times that a code is met before it is copied. A copy has to be analysed, which takes 45 to 60 microseconds for 24 KiB: that is
/// then at most a sixteenth of a microsecond for each time.
const MET_BEFORE_COPY: u32 = 1_024;

/// The code that an executor has met.
#[derive(Clone, Debug, Default)]
pub struct NearCodes {
    codes: B256Map<NearCode>,
    /// Of all codes, with what each takes besides.
    bytes: usize,
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
        self.make_room_for(code.len() + BYTES_BESIDES);
        let near = NearCode {
            code: code.clone(),
            met: 0,
        };
        self.codes.insert(*hash, near);
        Ok(code)
    }

    fn make_room_for(&mut self, bytes: usize) {
        if self.bytes + bytes > BYTES_MAX {
            metrics::counter!("rapid_reth_evm_near_codes_forgotten_total").increment(self.codes.len() as u64);
            self.codes.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use alloy_primitives::Address;

    use super::*;

    fn meet(codes: &mut NearCodes, code: &Bytecode) -> Bytecode {
        let find = || Ok::<_, Infallible>(code.clone());
        let Ok(met) = codes.get_or_try_find(&code.hash_slow(), find);
        met
    }

    fn legacy(code: &[u8]) -> Bytecode {
        Bytecode::new_legacy(Bytes::copy_from_slice(code))
    }

    #[test]
    fn what_is_met_often_is_copied_once_and_stays_the_same() {
        let delegation_of_another_version = [&[0xef, 0x01, 0x01][..], &[7; 20]].concat();
        let codes = [
            legacy(&[0x60, 0x01, 0x5b, 0x00]),
            // Data of a push, and an operand, beyond the end.
            legacy(&[0x5b, 0x7f, 0x01]),
            legacy(&[0x60, 0x01, 0xe6]),
            // Looks like a delegation, as old code may.
            legacy(&[0xef, 0x01, 0x00, 0xaa]),
            legacy(&delegation_of_another_version),
            Bytecode::new_eip7702(Address::repeat_byte(7)),
        ];
        for code in codes {
            let mut codes = NearCodes::default();
            let places: Vec<_> = (0..2 * MET_BEFORE_COPY)
                .map(|_| {
                    let met = meet(&mut codes, &code);
                    assert_eq!((met.kind(), &met), (code.kind(), &code));
                    assert_eq!(met.bytes_slice(), code.bytes_slice());
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
        for (len, count) in [(48 << 10, 700_u32), (4, 140_000)] {
            let mut codes = NearCodes::default();
            let mut kept_max = 0;
            for number in 0..count {
                let mut code = vec![0; len];
                code[..4].copy_from_slice(&number.to_be_bytes());
                let code = legacy(&code);
                assert_eq!(meet(&mut codes, &code), code);
                let kept = codes.codes.len() * (len + BYTES_BESIDES);
                assert!(kept <= BYTES_MAX && kept == codes.bytes);
                kept_max = kept_max.max(kept);
            }
            assert!(kept_max > BYTES_MAX - len - BYTES_BESIDES);
        }
    }

    #[test]
    fn what_is_not_found_is_asked_for_again() {
        let mut codes = NearCodes::default();
        let code = legacy(&[1]);
        assert_eq!(codes.get_or_try_find(&code.hash_slow(), || Err(1)), Err(1));
        assert_eq!(meet(&mut codes, &code), code);
    }
}
