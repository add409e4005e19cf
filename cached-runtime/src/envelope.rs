//! What surrounds a value in a shared store; `docs/WIRE.md` describes it byte by byte.

use bytes::{BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::Key;

/// What is known about a value besides its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) codec: u8,
    pub(crate) fingerprint: u64,
    /// Milliseconds since 1970.
    pub(crate) computed_at: u64,
    /// Milliseconds since 1970.
    pub(crate) fresh_until: u64,
    /// Milliseconds; saturates at 49 days.
    pub(crate) compute_time: u32,
    /// The namespace's stamp when the computation began; later the tags' as well.
    pub(crate) stamp: u64,
}

/// Not a first byte of any msgpack or JSON.
const MAGIC: u8 = 0xc1;
const FORMAT: u8 = 1;
const STAMPS: u8 = 1;
const HEADER: usize = 36 + 8 * STAMPS as usize;
const CHECK: usize = 8;

/// A value as it is stored under `key`; `None` if it is longer than 4 GiB.
pub(crate) fn seal(key: &Key, label: &Label, payload: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(payload.len()).ok()?;
    let mut out = BytesMut::with_capacity(HEADER + payload.len() + CHECK);
    out.put_slice(&[MAGIC, FORMAT, label.codec, STAMPS]);
    out.put_u64(label.fingerprint);
    out.put_u64(label.computed_at);
    out.put_u64(label.fresh_until);
    out.put_u32(label.compute_time);
    out.put_u32(length);
    out.put_u64(label.stamp);
    out.put_slice(payload);
    let check = check(key, &out);
    out.put_slice(&check);
    Some(out.freeze())
}

/// The label and the payload, if these bytes are what `seal` made for this key.
pub(crate) fn open<'a>(key: &Key, bytes: &'a [u8]) -> Option<(Label, &'a [u8])> {
    let (sealed, found) = bytes.split_last_chunk::<CHECK>()?;
    let (header, payload) = sealed.split_first_chunk::<HEADER>()?;
    let [MAGIC, FORMAT, codec, STAMPS, ..] = *header else { return None };
    let length = number(&header[32..36]);
    if length != payload.len() as u64 || *found != check(key, sealed) {
        return None;
    }
    let label = Label {
        codec,
        fingerprint: number(&header[4..12]),
        computed_at: number(&header[12..20]),
        fresh_until: number(&header[20..28]),
        compute_time: u32::try_from(number(&header[28..32])).ok()?,
        stamp: number(&header[36..44]),
    };
    Some((label, payload))
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
    use super::*;

    const LABEL: Label = Label {
        codec: 1,
        fingerprint: 0x0102_0304_0506_0708,
        computed_at: 1_700_000_000_000,
        fresh_until: 1_700_000_060_000,
        compute_time: 52,
        stamp: 0xfeed_beef_0000_0001,
    };

    fn key() -> Key {
        Key::new("shop::user.v1", &(42_u64, "en")).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened() {
        let sealed = seal(&key(), &LABEL, b"payload").unwrap();
        assert_eq!(open(&key(), &sealed), Some((LABEL, &b"payload"[..])));
    }

    /// Frozen: what is stored today must be read by every later version that says it reads format 1. These bytes
    /// are the example of `docs/WIRE.md`, and were made by the Python there.
    const FORMAT_1: [&str; 10] = [
        "c1010101",         // magic, format, codec, stamps
        "0102030405060708", // fingerprint
        "0000018bcfe56800", // computed at
        "0000018bcfe65260", // fresh until
        "00000034",         // compute time
        "00000003",         // length
        "feedbeef00000001", // stamp
        "a26869",           // payload
        "0f740c05",         // check
        "1ec81c73",
    ];

    #[test]
    fn the_bytes_of_format_1() {
        let sealed = seal(&key(), &LABEL, &[0xa2, b'h', b'i']).unwrap();
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(key().as_str(), "shop::user.v1:1ec40bc8d31639374342c19e38802fbb");
        assert_eq!(hex, FORMAT_1.concat());
        assert_eq!(open(&key(), &sealed), Some((LABEL, &b"\xa2hi"[..])));
    }

    /// Whoever can write to the store can make the check fit.
    #[test]
    fn other_formats_and_wrong_lengths_are_not_opened_though_the_check_fits() {
        let sealed = seal(&key(), &LABEL, b"payload").unwrap();
        for (at, byte) in [(0, 0xc0), (1, 0), (1, 2), (3, 0), (3, 2), (3, 255), (32, 255), (35, 6), (35, 8)] {
            let mut forged = sealed[..sealed.len() - CHECK].to_vec();
            forged[at] = byte;
            let fitting = check(&key(), &forged);
            forged.extend(fitting);
            assert_eq!(open(&key(), &forged), None, "byte {at} is {byte}");
        }
    }

    #[test]
    fn every_single_change_is_noticed() {
        let sealed = seal(&key(), &LABEL, b"payload").unwrap();
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
