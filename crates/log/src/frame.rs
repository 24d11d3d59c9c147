//! One record in a segment: a 32-byte header, the record, zeros up to a multiple of 8 bytes.
//!
//! ```text
//! 0  crc of the header (and of salt, segment, offset)   u32 LE
//! 4  length of the record in bytes, never 0              u32
//! 8  number of the mini-block                            u64
//! 16 newest mini-block durable when this was written     u64
//! 24 crc of the record                                   u32
//! 28 zero                                                u32
//! ```
//! The header's checksum covers where the frame lies and a secret salt of its segment, so neither old bytes, nor bytes
//! moved by the file system, nor bytes that a transaction smuggles into a record can be taken for a frame.

use rapid_primitives::MAX_RECORD_BYTES;

pub(crate) const FRAME_HEADER_BYTES: usize = 32;

/// Frames begin at multiples of this.
pub(crate) const FRAME_ALIGNMENT: u64 = 8;

/// Where a frame lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) salt: u64,
    pub(crate) offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) length: u32,
    pub(crate) number: u64,
    pub(crate) durable_through: u64,
    pub(crate) record_crc: u32,
}

impl FrameHeader {
    /// Reads and checks a header; `None` if it is not one.
    pub(crate) fn read(bytes: &[u8; FRAME_HEADER_BYTES], place: Place) -> Option<Self> {
        let header = Self {
            length: u32_at(bytes, 4),
            number: u64_at(bytes, 8),
            durable_through: u64_at(bytes, 16),
            record_crc: u32_at(bytes, 24),
        };
        let plausible = header.length != 0
            && header.length as usize <= MAX_RECORD_BYTES
            && header.durable_through < header.number
            && u32_at(bytes, 28) == 0;
        (plausible && u32_at(bytes, 0) == header_crc(bytes, place)).then_some(header)
    }

    pub(crate) const fn frame_bytes(&self) -> u64 {
        frame_bytes(self.length as usize)
    }
}

/// Space a record of this length takes in a segment.
pub(crate) const fn frame_bytes(record_bytes: usize) -> u64 {
    ((FRAME_HEADER_BYTES + record_bytes) as u64).next_multiple_of(FRAME_ALIGNMENT)
}

/// Encodes a frame into `buffer`, replacing its content.
///
/// # Panics
/// If the record is longer than [`MAX_RECORD_BYTES`].
pub(crate) fn encode_frame(
    buffer: &mut Vec<u8>,
    place: Place,
    number: u64,
    durable_through: u64,
    record: &[u8],
) {
    assert!(record.len() <= MAX_RECORD_BYTES, "record above the limit");
    buffer.clear();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&(record.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&number.to_le_bytes());
    buffer.extend_from_slice(&durable_through.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    let header = buffer.first_chunk().expect("header was just written");
    let crc = header_crc(header, place);
    buffer[..4].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(record);
    buffer.resize(frame_bytes(record.len()) as usize, 0);
}

fn header_crc(bytes: &[u8; FRAME_HEADER_BYTES], place: Place) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&place.salt.to_le_bytes());
    crc.update(&place.segment.to_le_bytes());
    crc.update(&place.offset.to_le_bytes());
    crc.update(&bytes[4..]);
    crc.finalize()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("four bytes at a fixed offset"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes at a fixed offset"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        segment: 3,
        salt: 77,
        offset: 96,
    };

    fn header(frame: &[u8]) -> &[u8; FRAME_HEADER_BYTES] {
        frame.first_chunk().unwrap()
    }

    #[test]
    fn header_round_trip() {
        let mut frame = Vec::new();
        encode_frame(&mut frame, PLACE, 9, 4, b"record");
        assert_eq!(frame.len(), 40);
        let read = FrameHeader::read(header(&frame), PLACE).unwrap();
        let record_crc = crc32fast::hash(b"record");
        assert_eq!(
            read,
            FrameHeader {
                length: 6,
                number: 9,
                durable_through: 4,
                record_crc
            }
        );
        assert_eq!(read.frame_bytes(), 40);
    }

    #[test]
    fn belongs_to_its_place_only() {
        let mut frame = Vec::new();
        encode_frame(&mut frame, PLACE, 9, 4, b"record");
        assert!(FrameHeader::read(header(&frame), Place { offset: 104, ..PLACE }).is_none());
        assert!(FrameHeader::read(header(&frame), Place { segment: 4, ..PLACE }).is_none());
        assert!(FrameHeader::read(header(&frame), Place { salt: 78, ..PLACE }).is_none());
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let mut frame = Vec::new();
        encode_frame(&mut frame, PLACE, 9, 4, b"record");
        for bit in 0..FRAME_HEADER_BYTES * 8 {
            let mut damaged = frame.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::read(header(&damaged), PLACE).is_none(), "bit {bit}");
        }
    }
}
