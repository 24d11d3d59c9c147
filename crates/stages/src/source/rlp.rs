//! Blocks in a file: the RLP of one block after the other, with nothing between.

use std::{
    io::{self, BufRead, Write},
    sync::Arc,
};

use alloy_rlp::Encodable;
use rapid_primitives::Block;

use super::{BlockSource, RawBlock, SourceError};
use crate::Origin;

/// Bytes of one block at most. EIP-7934 allows 8 MiB; older forks bound a block by its gas only, and no known chain
/// comes near this.
pub const BLOCK_BYTES_MAX: usize = 64 << 20;

/// First byte of a list whose length follows in `byte - LONG_LIST` bytes.
const LONG_LIST: u8 = 0xf7;
/// First byte of an empty list; up to [`LONG_LIST`] the length is in the byte itself.
const SHORT_LIST: u8 = 0xc0;

/// Reads blocks one by one, without holding more than one in memory.
#[derive(Debug)]
pub struct BlockReader<R> {
    name: Arc<str>,
    input: R,
    index: u64,
    offset: u64,
}

impl<R: BufRead> BlockReader<R> {
    /// Reads from the start of a file.
    pub fn new(name: impl Into<Arc<str>>, input: R) -> Self {
        Self {
            name: name.into(),
            input,
            index: 0,
            offset: 0,
        }
    }

    /// The next block; `None` at the end of the file.
    ///
    /// # Errors
    /// [`SourceError`]; nothing after that is readable.
    pub fn next_entry(&mut self) -> Result<Option<RawBlock>, SourceError> {
        let at_end = match self.input.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => return Err(self.failed(error)),
        };
        if at_end {
            return Ok(None);
        }
        let bytes = self.entry()?;
        let origin = Origin {
            source: Arc::clone(&self.name),
            index: self.index,
        };
        let block = RawBlock::new(origin, self.offset, bytes);
        self.index += 1;
        self.offset += block.len() as u64;
        Ok(Some(block))
    }

    /// The bytes of the next list, header included.
    fn entry(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut bytes = vec![0; 1];
        self.read(&mut bytes)?;
        let payload = match bytes[0] {
            first @ SHORT_LIST..=LONG_LIST => usize::from(first - SHORT_LIST),
            first if first > LONG_LIST => {
                let mut length = [0; 8];
                let size = usize::from(first - LONG_LIST);
                self.read(&mut length[8 - size..])?;
                bytes.extend_from_slice(&length[8 - size..]);
                usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX)
            }
            first => return Err(self.malformed(format!("it begins with {first:#04x}, not with a list"))),
        };
        if payload > BLOCK_BYTES_MAX {
            return Err(self.malformed(format!("{payload} bytes, more than {BLOCK_BYTES_MAX}")));
        }
        let header = bytes.len();
        bytes.resize(header + payload, 0);
        self.read(&mut bytes[header..])?;
        Ok(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), SourceError> {
        self.input.read_exact(into).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> SourceError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.malformed("the file ends inside it".to_owned()),
            // What a decompressor says of bytes that it cannot have written.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => self.malformed(error.to_string()),
            _ => SourceError::Io {
                source_name: Arc::clone(&self.name),
                error,
            },
        }
    }

    fn malformed(&self, reason: String) -> SourceError {
        SourceError::Malformed {
            source_name: Arc::clone(&self.name),
            index: self.index,
            offset: self.offset,
            reason,
        }
    }
}

impl<R: BufRead + Send> BlockSource for BlockReader<R> {
    fn next_block(&mut self) -> Result<Option<RawBlock>, SourceError> {
        self.next_entry()
    }

    fn bytes_read(&self) -> u64 {
        self.offset
    }
}

/// Appends a block.
///
/// # Errors
/// When the output takes no more.
pub fn write_block(output: &mut impl Write, block: &Block) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(block.length());
    block.encode(&mut bytes);
    output.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use rapid_primitives::{BlockBody, Header};

    use super::*;

    fn block(number: u64) -> Block {
        let extra_data = Bytes::from(vec![7; usize::try_from(number).unwrap() * 100]);
        Block {
            header: Header {
                number,
                extra_data,
                ..Header::default()
            },
            body: BlockBody::default(),
        }
    }

    fn file(numbers: std::ops::Range<u64>) -> Vec<u8> {
        let mut file = Vec::new();
        numbers.for_each(|number| write_block(&mut file, &block(number)).unwrap());
        file
    }

    fn next(reader: &mut BlockReader<&[u8]>) -> Result<Option<Block>, SourceError> {
        reader.next_entry()?.map(|block| block.decode()).transpose()
    }

    #[test]
    fn what_was_written_is_read_again() {
        let bytes = file(0..5);
        let mut reader = BlockReader::new("file", bytes.as_slice());
        for number in 0..5 {
            let entry = reader.next_entry().unwrap().unwrap();
            assert_eq!(
                entry.header().unwrap(),
                (number, block(number).header.hash_slow())
            );
            assert_eq!(entry.decode().unwrap(), block(number));
        }
        assert!(reader.next_entry().unwrap().is_none());
        assert_eq!(reader.bytes_read(), bytes.len() as u64);
    }

    #[test]
    fn damage_is_named_by_its_place() {
        let whole = file(0..2);
        let first = file(0..1).len();
        let error = |bytes: &[u8]| {
            let mut reader = BlockReader::new("file", bytes);
            next(&mut reader).unwrap();
            let error = next(&mut reader).unwrap_err();
            assert!(error.is_damage());
            error.to_string()
        };
        let place = format!("entry 1 of file, at byte {first}");
        let truncated = error(&whole[..whole.len() - 1]);
        assert!(
            truncated.starts_with(&place) && truncated.ends_with("ends inside it"),
            "{truncated}"
        );
        let mut text = whole[..first].to_vec();
        text.extend_from_slice(b"text");
        assert!(error(&text).contains("not with a list"));
        let mut list = whole[..first].to_vec();
        list.extend_from_slice(&[0xc2, 0xc0, 0xc0]);
        assert!(error(&list).starts_with(&place), "a list that is no block");
        let mut huge = whole[..first].to_vec();
        huge.extend_from_slice(&[0xff; 9]);
        assert!(
            error(&huge).contains("more than"),
            "a hostile length must not be allocated"
        );
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for seed in 0..=255_u8 {
            let bytes: Vec<u8> = (0..64)
                .map(|i: u8| seed.wrapping_mul(31).wrapping_add(i.wrapping_mul(17)))
                .collect();
            let mut reader = BlockReader::new("noise", bytes.as_slice());
            while let Ok(Some(entry)) = reader.next_entry() {
                let _ = (entry.header(), entry.decode());
            }
        }
    }
}
