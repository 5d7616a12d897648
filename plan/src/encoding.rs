//! The plan as bytes: header, then postcard.
//!
//! ```text
//!   offset  bytes  content
//!        0      8  MAGIC
//!        8      4  FORMAT_VERSION, little-endian
//!       12      4  length of the body in bytes, little-endian
//!       16      4  CRC-32 (IEEE 802.3) of the body, little-endian
//!       20      4  zero
//!       24    ...  the body: postcard of `Plan`
//! ```
//!
//! The header starts at a multiple of [`ALIGN_BYTES`] in every image, which is how [`find`] finds it.

use crate::Plan;
use alloc::vec::Vec;
use core::fmt;

/// The first bytes of an encoded plan. Not text that a program would contain by chance.
pub const MAGIC: [u8; 8] = *b"\x89mwasm\r\n";
/// The one format that this version reads and writes.
pub const FORMAT_VERSION: u32 = 2;
/// Bytes before the body.
pub const HEADER_BYTES: usize = 24;
/// The largest body in bytes (embedded files included).
pub const MAX_PLAN_BYTES: usize = 1 << 30;
/// Alignment of the header in an image, in bytes.
pub const ALIGN_BYTES: usize = 8;

const MALFORMED: &str = "the plan is malformed";

/// Why bytes are no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The magic is missing.
    NotAPlan,
    /// Made by another version of mwasm; holds the number of its format.
    Version(u32),
    /// Shorter than its header says.
    Truncated {
        /// Bytes that the header promises.
        wanted: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The checksum does not match.
    Damaged,
    /// The checksum matches, but the body does not decode.
    Malformed,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPlan => f.write_str("no plan found: this was not made by mwasm"),
            Self::Version(_) => f.write_str("made by another version of mwasm: build it again"),
            Self::Truncated { wanted, found } => {
                write!(f, "the plan is cut off: {wanted} bytes promised, {found} found")
            }
            Self::Damaged => f.write_str("the plan is damaged: its checksum does not match"),
            Self::Malformed => f.write_str(MALFORMED),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Encodes a plan; fails if it is over [`MAX_PLAN_BYTES`].
pub fn encode(plan: &Plan<'_>) -> Result<Vec<u8>, postcard::Error> {
    let network = postcard::to_allocvec(&(&plan.policy, &plan.net))?;
    let body = postcard::to_allocvec(&Plan { network: &network, ..plan.clone() })?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_PLAN_BYTES);
    let length = length.ok_or(postcard::Error::SerializeBufferFull)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32(&body).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

impl<'a> Plan<'a> {
    /// Decodes the plan at the front of `bytes`, and borrows from it. Arbitrary bytes get an error, never a panic.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut plan = Self::decode_without_network(bytes)?;
        plan.read_network().map_err(|_| DecodeError::Malformed)?;
        Ok(plan)
    }

    /// As [`Plan::decode`], with an empty policy and no set-up of the network until [`Plan::read_network`].
    pub fn decode_without_network(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        postcard::from_bytes(body(bytes)?).map_err(|_| DecodeError::Malformed)
    }

    /// Reads the policy and the set-up of the network; the error is the text of [`DecodeError::Malformed`].
    pub fn read_network(&mut self) -> Result<(), &'static str> {
        let network = core::mem::take(&mut self.network);
        (self.policy, self.net) = postcard::from_bytes(network).map_err(|_| MALFORMED)?;
        Ok(())
    }
}

/// The checked body of the plan at the front of `bytes`.
fn body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let header = bytes.get(..HEADER_BYTES).ok_or(DecodeError::NotAPlan)?;
    if !header.starts_with(&MAGIC) {
        return Err(DecodeError::NotAPlan);
    }
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if word(8) != FORMAT_VERSION {
        return Err(DecodeError::Version(word(8)));
    }
    let wanted = word(12) as usize;
    let rest = &bytes[HEADER_BYTES..];
    let body = rest.get(..wanted).ok_or(DecodeError::Truncated { wanted, found: rest.len() })?;
    if crc32(body) != word(16) {
        return Err(DecodeError::Damaged);
    }
    Ok(body)
}

/// Where in an image its plan is: the bytes from the header on. The magic may also stand in the code that writes plans, so only a
/// place where a whole plan decodes counts.
pub fn find(image: &[u8]) -> Result<&[u8], DecodeError> {
    // What comes nearest to a plan tells most.
    let nearness = |error: &DecodeError| match error {
        DecodeError::NotAPlan => 0,
        DecodeError::Version(_) => 1,
        DecodeError::Truncated { .. } => 2,
        DecodeError::Damaged | DecodeError::Malformed => 3,
    };
    let mut why = DecodeError::NotAPlan;
    for at in (0..image.len().saturating_sub(HEADER_BYTES)).step_by(ALIGN_BYTES) {
        if image[at..].starts_with(&MAGIC) {
            match body(&image[at..]) {
                Ok(body) => return Ok(&image[at..at + HEADER_BYTES + body.len()]),
                Err(error) if nearness(&error) > nearness(&why) => why = error,
                Err(_) => {}
            }
        }
    }
    Err(why)
}

/// CRC-32 as in IEEE 802.3, four bits at a time: small, and fast enough for a plan that is read once.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let mut word = i as u32;
            let mut bit = 0;
            while bit < 4 {
                word = if word & 1 == 1 { (word >> 1) ^ 0xedb8_8320 } else { word >> 1 };
                bit += 1;
            }
            table[i] = word;
            i += 1;
        }
        table
    };
    let mut crc = !0u32;
    for byte in bytes {
        crc = TABLE[((crc ^ u32::from(*byte)) & 15) as usize] ^ (crc >> 4);
        crc = TABLE[((crc ^ (u32::from(*byte) >> 4)) & 15) as usize] ^ (crc >> 4);
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dir, Entry, File};
    use alloc::vec;

    fn sample() -> Plan<'static> {
        Plan {
            name: "hello",
            entry: Entry::Run02("wasi:cli/run@0.2.6"),
            args: vec!["a", "b c"],
            env: vec![("K", "V")],
            dirs: vec![Dir { guest: "/site", files: vec![File { path: "hello.txt", content: Some(b"hi\n") }] }],
            ..Plan::default()
        }
    }

    #[test]
    fn crc_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_plan_round_trips_and_is_found_in_an_image() {
        let plan = sample();
        let bytes = encode(&plan).unwrap();
        assert_eq!(Plan::decode(&bytes).unwrap(), plan);
        let mut image = vec![0u8; 64];
        image.extend_from_slice(&MAGIC); // what the reader's own code looks like
        image.extend_from_slice(&[0; 24]);
        image.extend_from_slice(&bytes);
        image.extend_from_slice(&[7; 100]);
        assert_eq!(find(&image).unwrap(), bytes);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let bytes = encode(&sample()).unwrap();
        for cut in 0..bytes.len() {
            assert!(Plan::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let reserved = (20..24).contains(&(bit / 8));
            assert!(reserved || Plan::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_format_is_refused_by_number() {
        let mut bytes = encode(&sample()).unwrap();
        bytes[8] = 9;
        let error = Plan::decode(&bytes).unwrap_err();
        assert_eq!(error, DecodeError::Version(9));
        assert_eq!(alloc::format!("{error}"), "made by another version of mwasm: build it again");
    }

    /// The bytes of the reader's own code after a damaged plan once hid what is wrong with it.
    #[test]
    fn the_error_of_the_real_plan_is_told() {
        let mut image = encode(&sample()).unwrap();
        let last = image.len() - 1;
        image[last] ^= 1;
        image.resize(image.len().next_multiple_of(ALIGN_BYTES), 0);
        image.extend_from_slice(&MAGIC);
        image.extend_from_slice(&[0xff; 64]);
        assert_eq!(find(&image), Err(DecodeError::Damaged));
        image[8] = 9;
        assert_eq!(find(&image), Err(DecodeError::Version(9)));
    }
}
