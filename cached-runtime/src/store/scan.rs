//! What a value contains that `MessagePack` and JSON do not always preserve.
//!
//! Both serialize `None`, `Some(None)` and `Some(())` as the same nil. Therefore the digest of a key also
//! covers the presence of every `Option` in the arguments, and a value with a nil directly inside a `Some` is
//! not stored.
//!
//! JSON has no numbers that are not finite, and serializes them as nil.
//!
//! Numbers of 128 bits and bytes look like something else where serde decodes what the data says, not what the
//! type says: inside `flatten`, `tag` and `untagged`.

use std::fmt;

use serde::ser::{self, Serialize};

/// What was found in a value, in the order of serialization.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// One byte for each `Option`: 1 for `Some`, 0 for `None`.
    pub(crate) presence: Vec<u8>,
    /// `true` if a `Some` would be read back as `None`.
    pub(crate) is_ambiguous: bool,
    /// `true` if a number is infinite or none (NaN).
    pub(crate) has_non_finite: bool,
    /// How many numbers of 128 bits, and how many bytes, it contains.
    pub(crate) binaries: usize,
    /// What the first of them is.
    pub(crate) first_binary: Option<Binary>,
    /// `true` if the next value is the content of a `Some`.
    is_inside_some: bool,
}

/// What looks like something else to a codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Unsigned,
    Signed,
    Bytes,
}

impl Scan {
    /// Scans a value. If it cannot be serialized, the scan is incomplete; serializing it reports the error.
    pub(crate) fn of(value: &(impl Serialize + ?Sized)) -> Self {
        let mut options = Self::default();
        let _ = value.serialize(&mut options);
        options
    }

    fn record_binary(&mut self, binary: Binary) {
        self.binaries += 1;
        self.first_binary.get_or_insert(binary);
        self.is_inside_some = false;
    }

    fn record_nil(&mut self) {
        self.is_ambiguous |= self.is_inside_some;
        self.is_inside_some = false;
    }
}

/// An error of the value's `Serialize` implementation, whose message is not needed.
#[derive(Debug)]
pub(crate) struct SerializeError(());

impl fmt::Display for SerializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot serialize the value")
    }
}

impl std::error::Error for SerializeError {}

impl ser::Error for SerializeError {
    fn custom<T>(_: T) -> Self {
        Self(())
    }
}

type Serialized = Result<(), SerializeError>;

/// Methods for scalars, which contain no `Option`.
macro_rules! scalars {
    ($($method:ident($($ty:ty),*))*) => {$(
        fn $method(self $(, _: $ty)*) -> Serialized {
            self.is_inside_some = false;
            Ok(())
        }
    )*};
}

/// Methods for compound values, whose parts are serialized one by one.
macro_rules! compounds {
    ($($method:ident($($ty:ty),*) -> $assoc:ident;)*) => {$(
        fn $method(self $(, _: $ty)*) -> Result<Self, SerializeError> {
            self.is_inside_some = false;
            Ok(self)
        }
    )*};
}

impl ser::Serializer for &mut Scan {
    type Ok = ();
    type Error = SerializeError;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_char(char) serialize_str(&str)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    compounds! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_f32(self, number: f32) -> Serialized {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Serialized {
        self.has_non_finite |= !number.is_finite();
        self.is_inside_some = false;
        Ok(())
    }

    fn serialize_i128(self, _: i128) -> Serialized {
        self.record_binary(Binary::Signed);
        Ok(())
    }

    fn serialize_u128(self, _: u128) -> Serialized {
        self.record_binary(Binary::Unsigned);
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Serialized {
        self.record_binary(Binary::Bytes);
        Ok(())
    }

    fn serialize_none(self) -> Serialized {
        self.presence.push(0);
        self.record_nil();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Serialized {
        self.presence.push(1);
        self.is_inside_some = true;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Serialized {
        self.record_nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Serialized {
        self.record_nil();
        Ok(())
    }

    /// Both formats serialize a newtype as its content.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Serialized {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Serialized {
        self.is_inside_some = false;
        value.serialize(self)
    }

    /// The same as in `MessagePack`, and not as in JSON; some types serialize differently depending on it.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Implements the traits of compound values whose parts have no names.
macro_rules! parts {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for &mut Scan {
            type Ok = ();
            type Error = SerializeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Serialized {
                value.serialize(&mut **self)
            }

            fn end(self) -> Serialized {
                Ok(())
            }
        }
    )*};
}

parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// Implements the traits of compound values whose parts have names.
macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for &mut Scan {
            type Ok = ();
            type Error = SerializeError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Serialized {
                value.serialize(&mut **self)
            }

            fn end(self) -> Serialized {
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for &mut Scan {
    type Ok = ();
    type Error = SerializeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Serialized {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Serialized {
        value.serialize(&mut **self)
    }

    fn end(self) -> Serialized {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::option_option, reason = "the tests are about nested options")]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_recorded() {
        let value = (Some(1), None::<u8>, [Some(Some("a")), Some(None), None], "x");
        assert_eq!(Scan::of(&value).presence, [1, 0, 1, 1, 1, 0, 0]);
        assert!(Scan::of(&(1, "x", [2.0])).presence.is_empty());
    }

    #[test]
    fn numbers_of_128_bits_are_counted() {
        let scan = Scan::of(&(1_u64, Some(2_u128), [3_i128, 4]));
        assert_eq!((scan.binaries, scan.first_binary), (3, Some(Binary::Unsigned)));
        assert_eq!(Scan::of(&(1_u64, "x", [2_u8])).binaries, 0);
    }

    #[test]
    fn nil_inside_some_is_ambiguous() {
        #[derive(serde::Serialize)]
        struct Newtype(Option<u8>);
        #[derive(serde::Serialize)]
        struct Unit;
        #[derive(serde::Serialize)]
        struct Deep {
            list: Vec<Option<Option<u8>>>,
        }

        for ambiguous in [
            Scan::of(&Some(())),
            Scan::of(&Some(None::<u8>)),
            Scan::of(&Some(Newtype(None))),
            Scan::of(&Some(Unit)),
            Scan::of(&Deep { list: vec![Some(Some(1)), Some(None)] }),
        ] {
            assert!(ambiguous.is_ambiguous, "{ambiguous:?}");
        }
        for plain in [
            Scan::of(&()),
            Scan::of(&None::<Option<u8>>),
            Scan::of(&Some(Some(1))),
            Scan::of(&Some((None::<u8>, ()))),
            Scan::of(&Some(Newtype(Some(1)))),
            Scan::of(&Deep { list: vec![None] }),
        ] {
            assert!(!plain.is_ambiguous, "{plain:?}");
        }
    }
}
