//! Values as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema;
use crate::policy::Encoding;
use crate::store::NestedOptions;
use crate::{Error, ErrorKind, Result};

/// What can be kept in a shared store.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can not be kept in a shared store",
    label = "a value in a shared store must be `serde::Serialize + serde::de::DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` (an `Arc` needs the feature `rc` of serde), or keep it in memory: leave `backend` out"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

/// How values of one type are written and read.
#[derive(Debug)]
pub(crate) struct Codec<V> {
    /// A value in bytes that can be read back as it is.
    pub(crate) encode: fn(&V) -> Result<Vec<u8>>,
    pub(crate) decode: fn(&[u8]) -> Result<V>,
    /// The number of the encoding in an envelope.
    pub(crate) id: u8,
    /// Tells values of this type from those of others, and from those of what it was before.
    pub(crate) fingerprint: u64,
}

impl<V: Storable> Codec<V> {
    pub(crate) fn new(encoding: Encoding) -> Self {
        // For people and for programs many types write themselves in different ways.
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

/// Refuses what would be read back as something else.
fn readable(value: &impl Serialize) -> Result<()> {
    if NestedOptions::of(value).is_ambiguous {
        let why = "the value has a `Some` of nothing in it, which would be read back as a `None`";
        return Err(Error::new(ErrorKind::Codec, why));
    }
    Ok(())
}

/// Fields go by name: by position, two swapped fields of one type would be read as each other.
fn to_msgpack<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    readable(value)?;
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_bytes(rmp_serde::config::BytesMode::ForceAll);
    value.serialize(&mut serializer).map_err(not_encoded)?;
    Ok(bytes)
}

fn from_msgpack<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    let mut rest = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    // The default of 1 024 overflows the stack of a thread that has 256 KiB.
    deserializer.set_max_depth(128);
    let value = V::deserialize(&mut deserializer).map_err(not_decoded)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(Error::new(ErrorKind::Codec, "the value in the store is longer than its type"))
    }
}

#[cfg(feature = "json")]
fn to_json<V: Serialize>(value: &V) -> Result<Vec<u8>> {
    readable(value)?;
    serde_json::to_vec(value).map_err(not_encoded)
}

#[cfg(feature = "json")]
fn from_json<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    serde_json::from_slice(bytes).map_err(not_decoded)
}

fn not_encoded(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Codec, "the value can not be serialized").with_source(error)
}

/// Without the source: what a decoder says may quote the value.
#[allow(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_decoded(_: impl std::error::Error) -> Error {
    Error::new(ErrorKind::Codec, "the value in the store can not be deserialized")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded() {
        let value = (1_u64, "one".to_owned(), vec![0_u8, 255], Some(1.5_f64), ());
        let bytes = to_msgpack(&value).unwrap();
        assert_eq!(from_msgpack::<(u64, String, Vec<u8>, Option<f64>, ())>(&bytes).unwrap(), value);
    }

    /// Frozen: other languages read them, and so do programs of the version before.
    #[test]
    fn payloads_stay_what_they_are() {
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

    /// Nothing is set aside for what is only announced.
    #[test]
    fn lengths_are_not_believed() {
        for announced in [&b"\xc6"[..], b"\xdb", b"\xdd", b"\xdf"] {
            let bytes = [announced, b"\xff\xff\xff\xff"].concat();
            assert!(from_msgpack::<Vec<u8>>(&bytes).is_err());
            assert!(from_msgpack::<String>(&bytes).is_err());
            assert!(from_msgpack::<Vec<[u64; 32]>>(&bytes).is_err());
            assert!(from_msgpack::<std::collections::HashMap<u64, [u64; 32]>>(&bytes).is_err());
        }
    }

    #[test]
    fn bytes_go_as_bytes() {
        assert_eq!(to_msgpack(&vec![200_u8; 100]).unwrap().len(), 102);
    }

    #[test]
    fn what_is_longer_or_shorter_is_refused() {
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
