//! What msgpack and JSON do not tell: which `Option` a nil belongs to.
//!
//! `None`, `Some(None)` and `Some(())` are the same nil there. So a key takes down every `Option` of the arguments as
//! well, and a value with a nil directly inside of a `Some` is not stored.

use serde::ser::{self, Serialize};

/// The options in a value, in the order in which it is serialized.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// One byte for each: 1 for `Some`, 0 for `None`.
    pub(crate) marks: Vec<u8>,
    /// Whether one of them could not be read back.
    pub(crate) ambiguous: bool,
    /// Whether what comes next is what a `Some` holds.
    in_some: bool,
}

impl Options {
    /// Looks through a value. What can not be serialized has none: whoever serializes it hears why.
    pub(crate) fn of(value: &(impl Serialize + ?Sized)) -> Self {
        let mut options = Self::default();
        let _ = value.serialize(&mut options);
        options
    }

    fn nil(&mut self) {
        self.ambiguous |= self.in_some;
        self.in_some = false;
    }
}

/// Why a value was not looked through to its end.
#[derive(Debug)]
pub(crate) struct Unserializable(());

impl std::fmt::Display for Unserializable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value can not be serialized")
    }
}

impl std::error::Error for Unserializable {}

impl ser::Error for Unserializable {
    fn custom<T>(_: T) -> Self {
        Self(())
    }
}

type Done = Result<(), Unserializable>;

/// Scalars hold no options.
macro_rules! scalars {
    ($($method:ident($($ty:ty),*))*) => {$(
        fn $method(self $(, _: $ty)*) -> Done {
            self.in_some = false;
            Ok(())
        }
    )*};
}

/// What has parts is looked through part by part.
macro_rules! compounds {
    ($($method:ident($($ty:ty),*) -> $assoc:ident;)*) => {$(
        fn $method(self $(, _: $ty)*) -> Result<Self, Unserializable> {
            self.in_some = false;
            Ok(self)
        }
    )*};
}

impl ser::Serializer for &mut Options {
    type Ok = ();
    type Error = Unserializable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_i128(i128) serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64)
        serialize_u128(u128) serialize_f32(f32) serialize_f64(f64) serialize_char(char) serialize_str(&str)
        serialize_bytes(&[u8]) serialize_unit_variant(&'static str, u32, &'static str)
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

    fn serialize_none(self) -> Done {
        self.marks.push(0);
        self.nil();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.marks.push(1);
        self.in_some = true;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.nil();
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        self.nil();
        Ok(())
    }

    /// A newtype is serialized as what it holds.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.in_some = false;
        value.serialize(self)
    }

    /// Like msgpack and unlike JSON; it decides how some types write themselves.
    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for &mut Options {
            type Ok = ();
            type Error = Unserializable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
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

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for &mut Options {
            type Ok = ();
            type Error = Unserializable;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for &mut Options {
    type Ok = ();
    type Error = Unserializable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::option_option, reason = "it is about them")]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_taken_down() {
        let value = (Some(1), None::<u8>, [Some(Some("a")), Some(None), None], "x");
        assert_eq!(Options::of(&value).marks, [1, 0, 1, 1, 1, 0, 0]);
        assert!(Options::of(&(1, "x", [2.0])).marks.is_empty());
    }

    #[test]
    fn a_nil_inside_of_a_some_is_ambiguous() {
        #[derive(serde::Serialize)]
        struct Newtype(Option<u8>);
        #[derive(serde::Serialize)]
        struct Unit;
        #[derive(serde::Serialize)]
        struct Deep {
            list: Vec<Option<Option<u8>>>,
        }

        for ambiguous in [
            Options::of(&Some(())),
            Options::of(&Some(None::<u8>)),
            Options::of(&Some(Newtype(None))),
            Options::of(&Some(Unit)),
            Options::of(&Deep { list: vec![Some(Some(1)), Some(None)] }),
        ] {
            assert!(ambiguous.ambiguous, "{ambiguous:?}");
        }
        for plain in [
            Options::of(&()),
            Options::of(&None::<Option<u8>>),
            Options::of(&Some(Some(1))),
            Options::of(&Some((None::<u8>, ()))),
            Options::of(&Some(Newtype(Some(1)))),
            Options::of(&Deep { list: vec![None] }),
        ] {
            assert!(!plain.ambiguous, "{plain:?}");
        }
    }
}
