//! Codecs: values as bytes, in msgpack or JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::msgpack;
use super::schema::Schema;
use crate::policy::Encoding;
use crate::store::{Binary, Scan};
use crate::{Error, ErrorKind, Result};

/// A value that can be cached in a shared store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached in a shared store",
    label = "a value in a shared store must be `serde::Serialize + serde::de::DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` (an `Arc` needs the feature `rc` of serde), or leave `backend` out to cache it in memory; leave `cache_err` out for an error that cannot derive them, as `anyhow::Error`"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

/// The encoder and the decoder of one type.
#[derive(Debug)]
pub(crate) struct Codec<V> {
    /// Encodes a value; fails if it would be decoded as another one.
    pub(crate) encode: fn(&V) -> Result<Vec<u8>>,
    pub(crate) decode: fn(&[u8]) -> Result<V>,
    /// The number of the codec in an envelope.
    pub(crate) id: u8,
    /// Identifies the type, and this version of it: see [`Schema::fingerprint`].
    pub(crate) fingerprint: u64,
}

impl<V: Storable> Codec<V> {
    pub(crate) fn new(encoding: Encoding) -> Self {
        // JSON counts as human-readable, msgpack does not, and many types serialize differently in the two.
        match encoding {
            Encoding::Msgpack => {
                let schema = Schema::of::<V>(false);
                if schema.is_self_describing {
                    let fingerprint = Schema::of::<V>(true).fingerprint;
                    let (encode, decode) =
                        (to_readable_msgpack as fn(&V) -> _, from_readable_msgpack as fn(&[u8]) -> _);
                    return Self { encode, decode, id: 1, fingerprint };
                }
                Self { encode: to_msgpack, decode: from_msgpack, id: 1, fingerprint: schema.fingerprint }
            }
            #[cfg(feature = "json")]
            Encoding::Json => {
                let schema = Schema::of::<V>(true);
                let encode = if schema.is_self_describing { to_checked_json } else { to_json::<V> };
                Self { encode, decode: from_json, id: 2, fingerprint: schema.fingerprint }
            }
        }
    }
}

/// Scans a value, and rejects it if it would be decoded as another one.
fn scan(value: &impl Serialize) -> Result<Scan> {
    let scan = Scan::of(value);
    if scan.is_ambiguous {
        let message = "the value contains a `Some` of a nil value, such as `Some(None)`, which would be decoded as `None`";
        return Err(Error::new(ErrorKind::Codec, message));
    }
    Ok(scan)
}

/// Rejects a value of a self-describing type that would be decoded as another one, or not at all.
///
/// Where serde takes what the data contains, a number of 128 bits is 16 bytes in msgpack, which may look like a string,
/// and a float in JSON. Only values with such parts are decoded here.
fn reject_undecodable<V: Storable>(bytes: &[u8], decode: fn(&[u8]) -> Result<V>, scan: &Scan) -> Result<()> {
    let Some(binary) = scan.first_binary else { return Ok(()) };
    if decode(bytes).is_ok_and(|decoded| Scan::of(&decoded).binaries == scan.binaries) {
        return Ok(());
    }
    macro_rules! message {
        ($binary:literal) => {
            concat!(
                "the value contains a `",
                $binary,
                "` in a part with `flatten`, `tag` or `untagged` of serde, which would not be decoded as what it is; make \
                 it a string there, or an integer of 64 bits"
            )
        };
    }
    let message = match binary {
        Binary::Unsigned => message!("u128"),
        Binary::Signed => message!("i128"),
        Binary::Bytes => message!("&[u8]"),
    };
    Err(Error::new(ErrorKind::Codec, message))
}

/// Encodes structs as maps: without field names, two fields of one type that were swapped would be decoded as each
/// other.
fn to_msgpack<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    scan(value)?;
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_bytes(rmp_serde::config::BytesMode::ForceAll);
    value.serialize(&mut serializer).map_err(encode_error)?;
    Ok(bytes)
}

fn from_msgpack<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    reject_incomplete(bytes)?;
    // Texts and bytes are taken from where they are. No rest is left of a complete value: a collection of another length is
    // an error.
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    V::deserialize(&mut deserializer).map_err(decode_error)
}

/// Encodes a self-describing type: lists of bytes as lists, and everything as for a human-readable codec.
///
/// In the parts that serde reads before it knows their types, `Vec<u8>` is not read from bytes, and types as `IpAddr`,
/// which look different to human-readable codecs, expect one.
fn to_readable_msgpack<V: Storable>(value: &V) -> Result<Vec<u8>> {
    let scan = scan(value)?;
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value.serialize(&mut serializer).map_err(encode_error)?;
    reject_undecodable(&bytes, from_readable_msgpack::<V>, &scan)?;
    Ok(bytes)
}

fn from_readable_msgpack<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    reject_incomplete(bytes)?;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    deserializer.set_max_depth(MAX_DEPTH);
    V::deserialize(&mut deserializer).map_err(decode_error)
}

/// Rejects bytes that announce more elements than they have: collections reserve memory for as many elements as a header
/// announces, at each level of nesting.
fn reject_incomplete(bytes: &[u8]) -> Result<()> {
    if msgpack::is_complete(bytes) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Codec, "the stored value is not one complete msgpack value"))
}

/// How many levels a value may have. The default of 1024 overflows a stack of 256 KiB.
const MAX_DEPTH: usize = 128;

/// As [`scan`], for JSON, where a number that is not finite is a nil, and so is read as `None` if it is in an `Option`.
#[cfg(feature = "json")]
fn scan_for_json(value: &impl Serialize) -> Result<Scan> {
    let scan = scan(value)?;
    if scan.has_non_finite {
        let message = "the value contains a number that is infinite or not a number (NaN), which JSON does not have; use \
                       the codec `msgpack`";
        return Err(Error::new(ErrorKind::Codec, message));
    }
    Ok(scan)
}

#[cfg(feature = "json")]
fn to_json<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    scan_for_json(value)?;
    serde_json::to_vec(value).map_err(encode_error)
}

/// Encodes a self-describing type.
#[cfg(feature = "json")]
fn to_checked_json<V: Storable>(value: &V) -> Result<Vec<u8>> {
    let scan = scan_for_json(value)?;
    let bytes = serde_json::to_vec(value).map_err(encode_error)?;
    reject_undecodable(&bytes, from_json::<V>, &scan)?;
    Ok(bytes)
}

#[cfg(feature = "json")]
fn from_json<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    serde_json::from_slice(bytes).map_err(decode_error)
}

fn encode_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Codec, "the value cannot be serialized").with_source(error)
}

/// Drops the source, because the message of a decoder may quote the value.
#[allow(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn decode_error(_: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Codec, "the stored value cannot be deserialized")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip() {
        let value = (1_u64, "one".to_owned(), vec![0_u8, 255], Some(1.5_f64), ());
        let bytes = to_msgpack(&value).unwrap();
        assert_eq!(from_msgpack::<(u64, String, Vec<u8>, Option<f64>, ())>(&bytes).unwrap(), value);
    }

    #[cfg(feature = "json")]
    #[test]
    fn floats_in_json_are_the_same_or_an_error() {
        for number in (1_u32..2_000).map(f64::from).flat_map(|n| [n / 3.0, 1.0 / n, n.sqrt() * 1e-300]) {
            let bytes = to_json(&Some(number)).unwrap();
            assert_eq!(from_json::<Option<f64>>(&bytes).unwrap(), Some(number));
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(to_json(&Some(number)).unwrap_err().kind(), ErrorKind::Codec);
            assert!(to_checked_json(&[Some(number)]).is_err() && to_json(&f32::NAN).is_err());
            assert!(to_msgpack(&Some(number)).is_ok());
        }
    }

    /// Frozen: programs in other languages and of earlier versions read these bytes.
    #[test]
    fn payloads_are_stable() {
        #[derive(Serialize)]
        struct User {
            id: u64,
            name: Option<&'static str>,
            image: Vec<u8>,
            role: Role,
        }

        #[derive(Serialize)]
        enum Role {
            Guest,
            Member(u8),
            Owner { since: i32 },
        }

        let user = |role| User { id: 300, name: None, image: vec![0, 255], role };
        let of_user = b"\x84\xa2id\xcd\x01\x2c\xa4name\xc0\xa5image\xc4\x02\x00\xff\xa4role";
        let payload = |role| to_msgpack(&user(role)).unwrap();
        assert_eq!(payload(Role::Guest), [&of_user[..], b"\xa5Guest"].concat());
        assert_eq!(payload(Role::Member(7)), [&of_user[..], b"\x81\xa6Member\x07"].concat());
        let owner = payload(Role::Owner { since: -1 });
        assert_eq!(owner, [&of_user[..], b"\x81\xa5Owner\x81\xa5since\xff"].concat());

        assert_eq!(to_msgpack(&(1.5_f64, true, "e")).unwrap(), b"\x93\xcb\x3f\xf8\0\0\0\0\0\0\xc3\xa1e");
        assert_eq!(to_msgpack(&()).unwrap(), b"\xc0");
    }

    /// A length prefix alone must not cause an allocation.
    #[test]
    fn lengths_are_not_trusted() {
        for announced in [&b"\xc6"[..], b"\xdb", b"\xdd", b"\xdf"] {
            let bytes = [announced, b"\xff\xff\xff\xff"].concat();
            assert!(from_msgpack::<Vec<u8>>(&bytes).is_err());
            assert!(from_msgpack::<String>(&bytes).is_err());
            assert!(from_msgpack::<Vec<[u64; 32]>>(&bytes).is_err());
            assert!(from_msgpack::<std::collections::HashMap<u64, [u64; 32]>>(&bytes).is_err());
        }
    }

    #[test]
    fn bytes_are_encoded_as_bin() {
        assert_eq!(to_msgpack(&vec![200_u8; 100]).unwrap().len(), 102);
    }

    #[test]
    fn longer_and_shorter_bytes_are_rejected() {
        let bytes = to_msgpack(&(1, 2)).unwrap();
        assert!(from_msgpack::<(u8, u8)>(&[&bytes[..], b"\0"].concat()).is_err());
        assert!(from_msgpack::<(u8, u8)>(&bytes[..2]).is_err());
        // Complete, but with more elements than the type has.
        assert!(from_msgpack::<(u8,)>(&bytes).is_err());
        assert!(from_msgpack::<[Vec<(u8,)>; 1]>(b"\x91\x91\x92\x01\x02").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = vec![0x91; 100_000];
        assert!(from_msgpack::<Nested>(&deep).is_err());
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Nested(Vec<Nested>);
}
