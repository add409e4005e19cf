//! Codecs: values as bytes, in msgpack or JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{msgpack, schema};
use crate::policy::Encoding;
use crate::store::NestedOptions;
use crate::{Error, ErrorKind, Result};

/// A value that can be cached in a shared store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached in a shared store",
    label = "a value in a shared store must be `serde::Serialize + serde::de::DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` (an `Arc` needs the feature `rc` of serde), or leave `backend` out to cache it in memory"
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
    /// Identifies the type, and this version of it: see [`schema::fingerprint`].
    pub(crate) fingerprint: u64,
}

impl<V: Storable> Codec<V> {
    pub(crate) fn new(encoding: Encoding) -> Self {
        // JSON counts as human-readable, msgpack does not, and many types serialize differently in the two.
        match encoding {
            Encoding::Msgpack => Self {
                encode: to_msgpack,
                decode: from_msgpack,
                id: 1,
                fingerprint: schema::fingerprint::<V>(false),
            },
            #[cfg(feature = "json")]
            Encoding::Json => Self {
                encode: to_json,
                decode: from_json,
                id: 2,
                fingerprint: schema::fingerprint::<V>(true),
            },
        }
    }
}

/// Rejects a value that would be decoded as another one.
fn reject_ambiguous(value: &impl Serialize) -> Result<()> {
    if NestedOptions::of(value).is_ambiguous {
        let message = "the value contains a `Some` of a nil value, such as `Some(None)`, which would be decoded as `None`";
        return Err(Error::new(ErrorKind::Codec, message));
    }
    Ok(())
}

/// Encodes structs as maps: without field names, two fields of one type that were swapped would be decoded as each
/// other.
fn to_msgpack<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    reject_ambiguous(value)?;
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_bytes(rmp_serde::config::BytesMode::ForceAll);
    value.serialize(&mut serializer).map_err(encode_error)?;
    Ok(bytes)
}

fn from_msgpack<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    // Collections reserve memory for as many elements as a header announces, at each level of nesting.
    if !msgpack::is_complete(bytes) {
        return Err(Error::new(ErrorKind::Codec, "the stored value is not one complete msgpack value"));
    }
    let mut rest = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    // The default of 1024 levels overflows a stack of 256 KiB.
    deserializer.set_max_depth(128);
    let value = V::deserialize(&mut deserializer).map_err(decode_error)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Error::new(ErrorKind::Codec, "the stored value is followed by other bytes"))
    }
}

#[cfg(feature = "json")]
fn to_json<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    reject_ambiguous(value)?;
    serde_json::to_vec(value).map_err(encode_error)
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
    }

    #[test]
    fn depth_is_bounded() {
        let deep = vec![0x91; 100_000];
        assert!(from_msgpack::<Nested>(&deep).is_err());
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Nested(Vec<Nested>);
}
