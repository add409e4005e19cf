//! The check that msgpack is complete, before it is decoded.
//!
//! The format is specified in <https://github.com/msgpack/msgpack/blob/master/spec.md>.

/// Returns `true` if the bytes are exactly one value with all the elements that its headers announce.
///
/// It allocates nothing, and its time is bounded by the number of bytes. A decoder of such a value reserves no more
/// elements than there are bytes, in all collections together, because every announced element is there.
pub(crate) fn is_complete(mut bytes: &[u8]) -> bool {
    // Without recursion: a value is complete as soon as no value is missing.
    let mut missing = 1_u64;
    while missing > 0 {
        // Every value has at least one byte. This also keeps the number from growing without limit.
        if missing > bytes.len() as u64 {
            return false;
        }
        let Some((elements, rest)) = split_header(bytes) else { return false };
        missing = missing - 1 + elements;
        bytes = rest;
    }
    bytes.is_empty()
}

/// Returns how many values must follow the first one as its elements, and the bytes after it without them; `None` if it
/// is not complete.
fn split_header(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&marker, rest) = bytes.split_first()?;
    let sized = |width: usize, extra: u64| {
        let (size, rest) = split_number(rest, width)?;
        Some((0, skip(rest, size + extra)?))
    };
    let counted = |width: usize, elements: u64| {
        let (count, rest) = split_number(rest, width)?;
        Some((elements * count, rest))
    };
    match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Some((0, rest)),
        0x80..=0x8f => Some((2 * u64::from(marker & 0x0f), rest)),
        0x90..=0x9f => Some((u64::from(marker & 0x0f), rest)),
        0xa0..=0xbf => Some((0, skip(rest, u64::from(marker & 0x1f))?)),
        0xc1 => None, // Never used.
        0xc4 | 0xd9 => sized(1, 0),
        0xc5 | 0xda => sized(2, 0),
        0xc6 | 0xdb => sized(4, 0),
        // An extension has a type of one byte.
        0xc7 => sized(1, 1),
        0xc8 => sized(2, 1),
        0xc9 => sized(4, 1),
        0xd4..=0xd8 => Some((0, skip(rest, (1 << (marker - 0xd4)) + 1)?)),
        0xcc | 0xd0 => Some((0, skip(rest, 1)?)),
        0xcd | 0xd1 => Some((0, skip(rest, 2)?)),
        0xca | 0xce | 0xd2 => Some((0, skip(rest, 4)?)),
        0xcb | 0xcf | 0xd3 => Some((0, skip(rest, 8)?)),
        0xdc => counted(2, 1),
        0xdd => counted(4, 1),
        0xde => counted(2, 2),
        0xdf => counted(4, 2),
    }
}

/// Splits a big-endian number of this width from the bytes.
fn split_number(bytes: &[u8], width: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_at_checked(width)?;
    Some((number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

fn skip(bytes: &[u8], count: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(count).ok()?..)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Returns whether a value is complete and every other prefix and extension of it is not.
    fn is_exact(bytes: &[u8]) -> bool {
        is_complete(bytes)
            && (0..bytes.len()).all(|end| !is_complete(&bytes[..end]))
            && !is_complete(&[bytes, &[0]].concat())
    }

    #[test]
    fn what_the_encoder_writes_is_complete() {
        let text = |length| "x".repeat(length);
        for length in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let map: BTreeMap<usize, bool> = (0..length.min(300)).map(|n| (n, true)).collect();
            let value = (text(length), vec![Some(1.5_f32); length.min(300)], map, -1_i64, u64::MAX, ());
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            assert!(is_complete(&bytes) && !is_complete(&bytes[..bytes.len() - 1]));
        }
        assert!(is_exact(
            &rmp_serde::to_vec_named(&(1_u8, "a", [-1000_i16, 3], 1.5_f64, 70_000_u32)).unwrap()
        ));
    }

    #[test]
    fn every_marker_is_known() {
        for marker in 0..=255_u8 {
            let mut bytes = vec![0; 600];
            bytes[0] = marker;
            let length = (1..=600).find(|&end| is_complete(&bytes[..end]));
            assert_eq!(length.is_none(), marker == 0xc1, "{marker:#x}");
            assert!(length.is_none_or(|length| is_exact(&bytes[..length])), "{marker:#x}");
        }
    }

    #[test]
    fn announced_elements_must_be_there() {
        let nested = [0xdd, 0, 0, 1, 0].repeat(180);
        assert!(!is_complete(&nested));
        assert!(!is_complete(&[0xdf, 0xff, 0xff, 0xff, 0xff]));
        assert!(!is_complete(&[0xc6, 0xff, 0xff, 0xff, 0xff]));
        assert!(!is_complete(&[0x91; 100]));
        assert!(!is_complete(&[]));
    }
}
