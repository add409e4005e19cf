//! The envelope around a value in a shared store: a header before it, a checksum after it.
//!
//! `docs/WIRE.md` describes the format byte by byte.

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::Key;

/// What is stored about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
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
    pub(crate) generations: Box<[u64]>,
    /// The derived tags, each with its generation.
    pub(crate) derived_generations: Box<[(Key, u64)]>,
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
pub(crate) fn seal(key: &Key, header: &Header, payload: &[u8]) -> Option<Bytes> {
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
    for (tag_key, generation) in &header.derived_generations {
        out.put_slice(&tag_key.digest());
        out.put_u64(*generation);
    }
    out.put_slice(payload);
    let checksum = compute_checksum(key, &out);
    out.put_slice(&checksum);
    Some(out.freeze())
}

/// Returns the header and the payload; `None` unless these bytes are what [`seal`] returned for this key.
pub(crate) fn open<'a>(key: &Key, bytes: &'a [u8]) -> Option<(Header, &'a [u8])> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    let (fixed, rest) = sealed.split_first_chunk::<HEADER_LEN>()?;
    let [MAGIC, FORMAT, codec_id, FLAGS, ..] = *fixed else { return None };
    let [generations, derived, 0, 0] = fixed[36..] else { return None };
    let (generations, rest) = rest.split_at_checked(8 * usize::from(generations))?;
    let (derived, payload) = rest.split_at_checked(DERIVED_LEN * usize::from(derived))?;
    let length = parse_number(&fixed[32..36]);
    if length != payload.len() as u64 || *checksum != compute_checksum(key, sealed) {
        return None;
    }
    let header = Header {
        codec_id,
        fingerprint: parse_number(&fixed[4..12]),
        computed_at: parse_number(&fixed[12..20]),
        fresh_until: parse_number(&fixed[20..28]),
        compute_time: u32::try_from(parse_number(&fixed[28..32])).ok()?,
        generations: generations.chunks(8).map(parse_number).collect(),
        derived_generations: derived.chunks(DERIVED_LEN).map(parse_derived).collect::<Option<_>>()?,
    };
    Some((header, payload))
}

/// Returns the keys of the derived tags without verifying the checksum.
pub(crate) fn derived_tag_keys(bytes: &[u8]) -> Vec<Key> {
    let count = |at: usize| bytes.get(at).map_or(0, |count| usize::from(*count));
    let start = HEADER_LEN + 8 * count(36);
    let derived = bytes.get(start..start + DERIVED_LEN * count(37)).unwrap_or_default();
    derived.chunks(DERIVED_LEN).filter_map(|bytes| parse_derived(bytes).map(|(key, _)| key)).collect()
}

/// Returns the same value, fresh until `now` at the latest; `None` if [`open`] would return `None`.
///
/// `now` is in milliseconds since the Unix epoch.
pub(crate) fn expire(key: &Key, bytes: &[u8], now: u64) -> Option<Bytes> {
    let (header, payload) = open(key, bytes)?;
    let fresh_until = header.fresh_until.min(now);
    seal(key, &Header { fresh_until, ..header }, payload)
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

fn parse_derived(bytes: &[u8]) -> Option<(Key, u64)> {
    let (digest, generation) = bytes.split_first_chunk::<{ Key::DIGEST }>()?;
    Some((Key::of_tag(*digest), parse_number(generation)))
}

/// Returns the first 8 bytes of the SHA-256 of the key, a zero byte (which no key contains) and all bytes before the
/// checksum.
///
/// It detects a value that was truncated, changed or moved to another key. It is no signature.
fn compute_checksum(key: &Key, sealed: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hash = Sha256::new();
    hash.update(key.as_str());
    hash.update([0]);
    hash.update(sealed);
    let mut checksum = [0; CHECKSUM_LEN];
    checksum.copy_from_slice(&hash.finalize()[..CHECKSUM_LEN]);
    checksum
}

/// Parses a big-endian number of at most eight bytes.
fn parse_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn header() -> Header {
        Header {
            codec_id: 1,
            fingerprint: 0x0102_0304_0506_0708,
            computed_at: 1_700_000_000_000,
            fresh_until: 1_700_000_060_000,
            compute_time: 52,
            generations: [0xfeed_beef_0000_0001].into(),
            derived_generations: [].into(),
        }
    }

    fn tagged() -> Header {
        let derived = [(Key::of_tag([7; 16]), 8), (Key::of_tag([9; 16]), 10)];
        Header { generations: [1, 2, 3].into(), derived_generations: derived.into(), ..header() }
    }

    fn key() -> Key {
        Key::new("shop::user.v1", &(42_u64, "en")).unwrap()
    }

    #[test]
    fn a_sealed_value_is_opened() {
        let sealed = seal(&key(), &header(), b"payload").unwrap();
        assert_eq!(open(&key(), &sealed), Some((header(), &b"payload"[..])));
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
        "b4ccf2cf",         // checksum
        "0e057793",
    ];

    #[test]
    fn format_1_is_stable() {
        let sealed = seal(&key(), &header(), &[0xa2, b'h', b'i']).unwrap();
        assert_eq!(key().as_str(), "shop::user.v1:1ec40bc8d31639374342c19e38802fbb");
        assert_eq!(base16ct::lower::encode_string(&sealed), FORMAT_1.concat());
        assert_eq!(open(&key(), &sealed), Some((header(), &b"\xa2hi"[..])));
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
        let sealed = seal(&key(), &tagged(), b"payload").unwrap();
        assert_eq!(open(&key(), &sealed), Some((tagged(), &b"payload"[..])));
        assert_eq!(derived_tag_keys(&sealed), [Key::of_tag([7; 16]), Key::of_tag([9; 16])]);
        assert_eq!(derived_tag_keys(&seal(&key(), &header(), b"payload").unwrap()), []);
        for cut in 0..sealed.len() {
            assert!(derived_tag_keys(&sealed[..cut]).len() <= 2 && open(&key(), &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn expiring_changes_only_the_freshness() {
        let sealed = seal(&key(), &tagged(), b"payload").unwrap();
        let expired = expire(&key(), &sealed, 1_700_000_000_001).unwrap();
        let header = Header { fresh_until: 1_700_000_000_001, ..tagged() };
        assert_eq!(open(&key(), &expired), Some((header, &b"payload"[..])));
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
