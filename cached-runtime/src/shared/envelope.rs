//! What surrounds a value in a shared store; `docs/WIRE.md` describes it byte by byte.

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::Key;

/// What is known about a value besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) fingerprint: u64,
    /// Milliseconds since 1970.
    pub(crate) computed_at: u64,
    /// Milliseconds since 1970.
    pub(crate) fresh_until: u64,
    /// Milliseconds; saturates at 49 days.
    pub(crate) compute_time: u32,
    /// The stamps when the computation began: of the namespace, and of the tags that the arguments tell.
    pub(crate) stamps: Box<[u64]>,
    /// The tags that only the value told, each with its stamp.
    pub(crate) named: Box<[(Key, u64)]>,
}

/// Not a first byte of any msgpack or JSON.
const MAGIC: u8 = 0xc1;
const FORMAT: u8 = 1;
/// Nothing is compressed or encrypted.
const FLAGS: u8 = 0;
const HEADER: usize = 40;
const CHECK: usize = 8;
const NAMED: usize = Key::DIGEST + 8;

/// A value as it is stored under `key`; `None` if it is longer than 4 GiB or has more than 255 stamps of a kind.
pub(crate) fn seal(key: &Key, label: &Header, payload: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(payload.len()).ok()?;
    let (stamps, named) = (u8::try_from(label.stamps.len()).ok()?, u8::try_from(label.named.len()).ok()?);
    let size = HEADER + 8 * label.stamps.len() + NAMED * label.named.len() + payload.len() + CHECK;
    let mut out = BytesMut::with_capacity(size);
    out.put_slice(&[MAGIC, FORMAT, label.codec, FLAGS]);
    out.put_u64(label.fingerprint);
    out.put_u64(label.computed_at);
    out.put_u64(label.fresh_until);
    out.put_u32(label.compute_time);
    out.put_u32(length);
    out.put_slice(&[stamps, named, 0, 0]);
    label.stamps.iter().for_each(|stamp| out.put_u64(*stamp));
    for (tag, stamp) in &label.named {
        out.put_slice(&tag.digest());
        out.put_u64(*stamp);
    }
    out.put_slice(payload);
    let check = check(key, &out);
    out.put_slice(&check);
    Some(out.freeze())
}

/// The label and the payload, if these bytes are what `seal` made for this key.
pub(crate) fn open<'a>(key: &Key, bytes: &'a [u8]) -> Option<(Header, &'a [u8])> {
    let (sealed, found) = bytes.split_last_chunk::<CHECK>()?;
    let (header, rest) = sealed.split_first_chunk::<HEADER>()?;
    let [MAGIC, FORMAT, codec, FLAGS, ..] = *header else { return None };
    let [stamps, named, 0, 0] = header[36..] else { return None };
    let (stamps, rest) = rest.split_at_checked(8 * usize::from(stamps))?;
    let (named, payload) = rest.split_at_checked(NAMED * usize::from(named))?;
    let length = number(&header[32..36]);
    if length != payload.len() as u64 || *found != check(key, sealed) {
        return None;
    }
    let label = Header {
        codec,
        fingerprint: number(&header[4..12]),
        computed_at: number(&header[12..20]),
        fresh_until: number(&header[20..28]),
        compute_time: u32::try_from(number(&header[28..32])).ok()?,
        stamps: stamps.chunks(8).map(number).collect(),
        named: named.chunks(NAMED).map(named_tag).collect::<Option<_>>()?,
    };
    Some((label, payload))
}

/// The tags that are named in an envelope, which is not opened yet.
pub(crate) fn named(bytes: &[u8]) -> Vec<Key> {
    let count = |at: usize| bytes.get(at).map_or(0, |count| usize::from(*count));
    let start = HEADER + 8 * count(36);
    let named = bytes.get(start..start + NAMED * count(37)).unwrap_or_default();
    named.chunks(NAMED).filter_map(|tag| named_tag(tag).map(|(tag, _)| tag)).collect()
}

/// The same value, fresh until a given moment at the latest, if it is one that `seal` made for this key.
pub(crate) fn expire(key: &Key, bytes: &[u8], now: u64) -> Option<Bytes> {
    let (label, payload) = open(key, bytes)?;
    let fresh_until = label.fresh_until.min(now);
    seal(key, &Header { fresh_until, ..label }, payload)
}

/// Whether these bytes say that they are a value of this codec and type; nothing else of them is looked at.
pub(crate) fn is_labelled(bytes: &[u8], codec: u8, fingerprint: u64) -> bool {
    bytes.get(2) == Some(&codec) && bytes.get(4..12).is_some_and(|found| number(found) == fingerprint)
}

/// What tells a value from every other one that was under its key: the check at its end.
pub(crate) fn mark(bytes: &[u8]) -> Option<u64> {
    bytes.last_chunk::<CHECK>().map(|check| u64::from_be_bytes(*check))
}

fn named_tag(bytes: &[u8]) -> Option<(Key, u64)> {
    let (digest, stamp) = bytes.split_first_chunk::<{ Key::DIGEST }>()?;
    Some((Key::of_tag(*digest), number(stamp)))
}

/// The first 8 bytes of a SHA-256 over the key, a zero byte (no key has one) and all before the check: a value that was
/// cut, changed or put under another key is not opened.
fn check(key: &Key, sealed: &[u8]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(key.as_str());
    hash.update([0]);
    hash.update(sealed);
    let mut check = [0; CHECK];
    check.copy_from_slice(&hash.finalize()[..CHECK]);
    check
}

/// Big-endian, at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn label() -> Header {
        Header {
            codec: 1,
            fingerprint: 0x0102_0304_0506_0708,
            computed_at: 1_700_000_000_000,
            fresh_until: 1_700_000_060_000,
            compute_time: 52,
            stamps: [0xfeed_beef_0000_0001].into(),
            named: [].into(),
        }
    }

    fn tagged() -> Header {
        let named = [(Key::of_tag([7; 16]), 8), (Key::of_tag([9; 16]), 10)];
        Header { stamps: [1, 2, 3].into(), named: named.into(), ..label() }
    }

    fn key() -> Key {
        Key::new("shop::user.v1", &(42_u64, "en")).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let sealed = seal(&key(), &label(), b"payload").unwrap();
        assert_eq!(open(&key(), &sealed), Some((label(), &b"payload"[..])));
    }

    /// Frozen: what is stored today must be read by every later version that says it reads format 1. These bytes
    /// are the example of `docs/WIRE.md`, and were made by the Python there.
    const FORMAT_1: [&str; 11] = [
        "c1010100",         // magic, format, codec, flags
        "0102030405060708", // fingerprint
        "0000018bcfe56800", // computed at
        "0000018bcfe65260", // fresh until
        "00000034",         // compute time
        "00000003",         // length
        "01000000",         // stamps, named, reserved
        "feedbeef00000001", // stamp
        "a26869",           // payload
        "b4ccf2cf",         // check
        "0e057793",
    ];

    #[test]
    fn the_bytes_of_format_1() {
        let sealed = seal(&key(), &label(), &[0xa2, b'h', b'i']).unwrap();
        let mut hex = String::new();
        for byte in &sealed {
            write!(hex, "{byte:02x}").unwrap();
        }
        assert_eq!(key().as_str(), "shop::user.v1:1ec40bc8d31639374342c19e38802fbb");
        assert_eq!(hex, FORMAT_1.concat());
        assert_eq!(open(&key(), &sealed), Some((label(), &b"\xa2hi"[..])));
    }

    /// Whoever can write to the store can make the check fit.
    #[test]
    fn other_formats_and_wrong_lengths_are_not_opened_though_the_check_fits() {
        let sealed = seal(&key(), &label(), b"payload").unwrap();
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
            let mut forged = sealed[..sealed.len() - CHECK].to_vec();
            forged[at] = byte;
            let fitting = check(&key(), &forged);
            forged.extend(fitting);
            assert_eq!(open(&key(), &forged), None, "byte {at} is {byte}");
        }
    }

    #[test]
    fn stamps_and_tags_come_back() {
        let sealed = seal(&key(), &tagged(), b"payload").unwrap();
        assert_eq!(open(&key(), &sealed), Some((tagged(), &b"payload"[..])));
        assert_eq!(named(&sealed), [Key::of_tag([7; 16]), Key::of_tag([9; 16])]);
        assert_eq!(named(&seal(&key(), &label(), b"payload").unwrap()), []);
        for cut in 0..sealed.len() {
            assert!(named(&sealed[..cut]).len() <= 2 && open(&key(), &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn an_expired_value_is_the_same_but_for_its_freshness() {
        let sealed = seal(&key(), &tagged(), b"payload").unwrap();
        let expired = expire(&key(), &sealed, 1_700_000_000_001).unwrap();
        let label = Header { fresh_until: 1_700_000_000_001, ..tagged() };
        assert_eq!(open(&key(), &expired), Some((label, &b"payload"[..])));
        assert_eq!(expire(&key(), &sealed, u64::MAX), Some(sealed), "never fresh for longer");
        assert_eq!(expire(&key(), b"foreign", 0), None);
    }

    #[test]
    fn every_single_change_is_noticed() {
        let sealed = seal(&key(), &label(), b"payload").unwrap();
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
