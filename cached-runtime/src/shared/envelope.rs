//! The envelope around a value in a shared store: a header before it, a checksum after it.
//!
//! `docs/WIRE.md` describes the format byte by byte.

use bytes::{BufMut, Bytes, BytesMut};
use twox_hash::XxHash3_64;

use crate::Key;

/// What is stored about a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) codec_id: u8,
    /// The fingerprint of the value's type.
    pub(crate) fingerprint: u64,
    /// In milliseconds since the Unix epoch.
    pub(crate) computed_at: u64,
    /// In milliseconds since the Unix epoch.
    pub(crate) fresh_until: u64,
    /// In milliseconds; saturates at 49 days.
    pub(crate) compute_time: u32,
    /// The generations when the computation began: of the namespace, of all tags and of the static tags.
    pub(crate) generations: &'a [u64],
    /// The derived tags, each with its generation.
    pub(crate) derived_generations: &'a [(Key, u64)],
}

/// A stored value whose format and checksum were verified. It borrows the bytes, so that reading it allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope<'a> {
    fixed: &'a [u8; HEADER_LEN],
    generations: &'a [u8],
    derived_generations: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The first byte. Neither msgpack nor JSON begins with it.
const MAGIC: u8 = 0xc1;
const FORMAT: u8 = 1;
/// Nothing is compressed or encrypted.
const FLAGS: u8 = 0;
/// The length of the fixed part of the header, in bytes.
const HEADER_LEN: usize = 40;
const CHECKSUM_LEN: usize = 8;
/// The length of a derived tag with its generation, in bytes.
const DERIVED_LEN: usize = Key::DIGEST + 8;

/// Returns a value as it is stored under `key`.
///
/// Returns `None` if it is longer than 4 GiB, or has more than 255 generations or more than 255 derived tags.
pub(crate) fn seal(key: &Key, header: &Header<'_>, payload: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(payload.len()).ok()?;
    let generations = u8::try_from(header.generations.len()).ok()?;
    let derived = u8::try_from(header.derived_generations.len()).ok()?;
    let size = HEADER_LEN
        + 8 * header.generations.len()
        + DERIVED_LEN * header.derived_generations.len()
        + payload.len()
        + CHECKSUM_LEN;
    let mut out = BytesMut::with_capacity(size);
    out.put_slice(&[MAGIC, FORMAT, header.codec_id, FLAGS]);
    out.put_u64(header.fingerprint);
    out.put_u64(header.computed_at);
    out.put_u64(header.fresh_until);
    out.put_u32(header.compute_time);
    out.put_u32(length);
    out.put_slice(&[generations, derived, 0, 0]);
    header.generations.iter().for_each(|generation| out.put_u64(*generation));
    for (tag_key, generation) in header.derived_generations {
        out.put_slice(&tag_key.digest());
        out.put_u64(*generation);
    }
    out.put_slice(payload);
    let checksum = compute_checksum(key, &out);
    out.put_slice(&checksum);
    Some(out.freeze())
}

/// Returns the value; `None` unless these bytes are what [`seal`] returned for this key.
pub(crate) fn open<'a>(key: &Key, bytes: &'a [u8]) -> Option<Envelope<'a>> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    let (fixed, rest) = sealed.split_first_chunk::<HEADER_LEN>()?;
    let [MAGIC, FORMAT, _, FLAGS, ..] = *fixed else { return None };
    let [generations, derived, 0, 0] = fixed[36..] else { return None };
    let (generations, rest) = rest.split_at_checked(8 * usize::from(generations))?;
    let (derived_generations, payload) = rest.split_at_checked(DERIVED_LEN * usize::from(derived))?;
    let length = parse_number(&fixed[32..36]);
    if length != payload.len() as u64 || *checksum != compute_checksum(key, sealed) {
        return None;
    }
    Some(Envelope { fixed, generations, derived_generations, payload })
}

impl Envelope<'_> {
    pub(crate) fn codec_id(&self) -> u8 {
        self.fixed[2]
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        parse_number(&self.fixed[4..12])
    }

    pub(crate) fn computed_at(&self) -> u64 {
        parse_number(&self.fixed[12..20])
    }

    pub(crate) fn fresh_until(&self) -> u64 {
        parse_number(&self.fixed[20..28])
    }

    /// Returns how long the computation took, in milliseconds.
    pub(crate) fn compute_time(&self) -> u64 {
        parse_number(&self.fixed[28..32])
    }

    pub(crate) fn generations(&self) -> impl Iterator<Item = u64> {
        self.generations.chunks_exact(8).map(parse_number)
    }

    /// Returns the generations of the derived tags.
    pub(crate) fn derived_generations(&self) -> impl Iterator<Item = u64> {
        self.derived_generations.chunks_exact(DERIVED_LEN).map(|tag| parse_number(&tag[Key::DIGEST..]))
    }

    pub(crate) fn derived_tag_keys(&self) -> impl Iterator<Item = Key> {
        self.derived_generations.chunks_exact(DERIVED_LEN).filter_map(parse_tag_key)
    }
}

/// Returns the keys of the derived tags without verifying the checksum.
pub(crate) fn derived_tag_keys(bytes: &[u8]) -> Vec<Key> {
    let start = HEADER_LEN + 8 * count_at(bytes, 36);
    let derived = bytes.get(start..start + DERIVED_LEN * count_at(bytes, 37)).unwrap_or_default();
    derived.chunks_exact(DERIVED_LEN).filter_map(parse_tag_key).collect()
}

/// Returns the same value, fresh until `now` at the latest; `None` if [`open`] would return `None`.
///
/// `now` is in milliseconds since the Unix epoch.
pub(crate) fn expire(key: &Key, bytes: &[u8], now: u64) -> Option<Bytes> {
    let fresh_until = open(key, bytes)?.fresh_until().min(now);
    let mut expired = BytesMut::from(bytes);
    expired[20..28].copy_from_slice(&fresh_until.to_be_bytes());
    expired.truncate(bytes.len() - CHECKSUM_LEN);
    let checksum = compute_checksum(key, &expired);
    expired.put_slice(&checksum);
    Some(expired.freeze())
}

/// Returns `true` if these bytes have this codec and type in their header; verifies nothing else.
pub(crate) fn has_type(bytes: &[u8], codec_id: u8, fingerprint: u64) -> bool {
    bytes.get(2) == Some(&codec_id)
        && bytes.get(4..12).is_some_and(|found| parse_number(found) == fingerprint)
}

/// Returns the checksum at the end, which tells a value from every other one that was under its key.
pub(crate) fn checksum(bytes: &[u8]) -> Option<u64> {
    bytes.last_chunk::<CHECKSUM_LEN>().map(|checksum| u64::from_be_bytes(*checksum))
}

/// Returns `true` if an envelope lists derived tags. The checksum is not checked.
pub(crate) fn has_derived_tags(bytes: &[u8]) -> bool {
    count_at(bytes, 37) > 0
}

/// Returns the number of generations that an envelope has at this position.
fn count_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at).map_or(0, |count| usize::from(*count))
}

fn parse_tag_key(derived: &[u8]) -> Option<Key> {
    derived.first_chunk::<{ Key::DIGEST }>().map(|digest| Key::of_tag(*digest))
}

/// Returns the XXH3-64 of all bytes before the checksum, with the XXH3-64 of the key for its seed.
///
/// It detects a value that was truncated, changed or moved to another key. It is no signature.
fn compute_checksum(key: &Key, sealed: &[u8]) -> [u8; CHECKSUM_LEN] {
    let seed = XxHash3_64::oneshot(key.as_bytes());
    XxHash3_64::oneshot_with_seed(seed, sealed).to_be_bytes()
}

/// Parses a big-endian number of at most eight bytes.
fn parse_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn header() -> Header<'static> {
        Header {
            codec_id: 1,
            fingerprint: 0x0102_0304_0506_0708,
            computed_at: 1_700_000_000_000,
            fresh_until: 1_700_000_060_000,
            compute_time: 52,
            generations: &[0xfeed_beef_0000_0001],
            derived_generations: &[],
        }
    }

    fn derived() -> [(Key, u64); 2] {
        [(Key::of_tag([7; 16]), 8), (Key::of_tag([9; 16]), 10)]
    }

    /// Asserts that the bytes are a value with this header and payload.
    fn assert_opens(bytes: &[u8], header: &Header<'_>, payload: &[u8]) {
        let opened = open(&key(), bytes).unwrap();
        assert_eq!((opened.codec_id(), opened.fingerprint()), (header.codec_id, header.fingerprint));
        assert_eq!((opened.computed_at(), opened.fresh_until()), (header.computed_at, header.fresh_until));
        assert_eq!(opened.compute_time(), u64::from(header.compute_time));
        assert!(opened.generations().eq(header.generations.iter().copied()));
        let derived = opened.derived_tag_keys().zip(opened.derived_generations());
        assert!(derived.eq(header.derived_generations.iter().cloned()));
        assert_eq!(opened.payload, payload);
    }

    fn key() -> Key {
        Key::new("shop::user.v1", &(42_u64, "en")).unwrap()
    }

    #[test]
    fn a_sealed_value_is_opened() {
        let sealed = seal(&key(), &header(), b"payload").unwrap();
        assert_opens(&sealed, &header(), b"payload");
    }

    /// Frozen: every later version that reads format 1 must read what is stored today. These bytes are the example in
    /// `docs/WIRE.md`, and were made by the Python program there.
    const FORMAT_1: [&str; 11] = [
        "c1010100",         // magic, format, codec, flags
        "0102030405060708", // fingerprint
        "0000018bcfe56800", // computed at
        "0000018bcfe65260", // fresh until
        "00000034",         // compute time
        "00000003",         // length
        "01000000",         // generations, derived tags, reserved
        "feedbeef00000001", // generation
        "a26869",           // payload
        "315a24e3",         // checksum
        "2bb363dd",
    ];

    #[test]
    fn format_1_is_stable() {
        let sealed = seal(&key(), &header(), &[0xa2, b'h', b'i']).unwrap();
        assert_eq!(key().as_str(), "shop::user.v1:23ec7fde775811ceb754fbff0e0c549f");
        assert_eq!(base16ct::lower::encode_string(&sealed), FORMAT_1.concat());
        assert_opens(&sealed, &header(), b"\xa2hi");
    }

    /// A process that can write to the store can compute a valid checksum.
    #[test]
    fn other_formats_and_wrong_lengths_are_not_opened_despite_a_valid_checksum() {
        let sealed = seal(&key(), &header(), b"payload").unwrap();
        for (at, byte) in [
            (0, 0xc0),
            (1, 0),
            (1, 2),
            (3, 1),
            (3, 255),
            (32, 255),
            (35, 6),
            (35, 8),
            (36, 0),
            (36, 2),
            (36, 255),
            (37, 1),
            (37, 255),
            (38, 1),
            (39, 1),
        ] {
            let mut forged = sealed[..sealed.len() - CHECKSUM_LEN].to_vec();
            forged[at] = byte;
            let checksum = compute_checksum(&key(), &forged);
            forged.extend(checksum);
            assert_eq!(open(&key(), &forged), None, "byte {at} is {byte}");
        }
    }

    #[test]
    fn generations_and_derived_tags_round_trip() {
        let derived = derived();
        let tagged = Header { generations: &[1, 2, 3], derived_generations: &derived, ..header() };
        let sealed = seal(&key(), &tagged, b"payload").unwrap();
        assert_opens(&sealed, &tagged, b"payload");
        assert_eq!(derived_tag_keys(&sealed), [Key::of_tag([7; 16]), Key::of_tag([9; 16])]);
        assert_eq!(derived_tag_keys(&seal(&key(), &header(), b"payload").unwrap()), []);
        for cut in 0..sealed.len() {
            assert!(derived_tag_keys(&sealed[..cut]).len() <= 2 && open(&key(), &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn expiring_changes_only_the_freshness() {
        let derived = derived();
        let tagged = Header { generations: &[1, 2, 3], derived_generations: &derived, ..header() };
        let sealed = seal(&key(), &tagged, b"payload").unwrap();
        let expired = expire(&key(), &sealed, 1_700_000_000_001).unwrap();
        assert_opens(&expired, &Header { fresh_until: 1_700_000_000_001, ..tagged }, b"payload");
        assert_eq!(expire(&key(), &sealed, u64::MAX), Some(sealed), "freshness is never extended");
        assert_eq!(expire(&key(), b"foreign", 0), None);
    }

    #[test]
    fn every_changed_bit_is_detected() {
        let sealed = seal(&key(), &header(), b"payload").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.to_vec();
                changed[at] ^= 1 << bit;
                assert_eq!(open(&key(), &changed), None, "bit {bit} of byte {at}");
            }
            assert_eq!(open(&key(), &sealed[..at]), None, "cut to {at}");
        }
        let longer = [&sealed[..], b"x"].concat();
        assert_eq!(open(&key(), &longer), None);
        assert_eq!(open(&Key::new("shop::user.v1", &43).unwrap(), &sealed), None, "under another key");
    }

    #[test]
    fn foreign_bytes_are_not_opened() {
        for foreign in [&b""[..], b"0", b"null", &[0; 44], &[0xff; 52], &[0xc1; 300]] {
            assert_eq!(open(&key(), foreign), None);
        }
    }
}
