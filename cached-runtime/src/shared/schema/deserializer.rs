//! The deserializer of made-up values, which records what a type requests of it.

use serde::de::{self, Visitor};

use super::access::{Elements, Fields, Variant};
use super::tracer::Tracer;
use super::types::{Declaration, Kind, PartId, Shape};

// The values to offer, in this order: when a type rejects one, the next is tried. Most types accept the first.

const INTEGERS: [u8; 3] = [1, 0, 2];
const STRINGS: [&str; 13] = [
    "",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "00000000-0000-0000-0000-000000000001",
    "1",
    "a",
    "http://a.aa/",
    "127.0.0.1",
    "1.0.0",
    "a@a.aa",
    "UTC",
];
const BYTES: [&[u8]; 6] = [b"", &[1; 16], &[1; 32], &[1; 12], &[1; 8], &[1; 4]];

/// Why a pass ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// There is no value to offer, or the limit of steps is reached.
    NoValue,
    /// A type rejected the value that it was offered.
    Rejected,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value was made up to trace its type")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T>(_: T) -> Self {
        Self::Rejected
    }
}

/// The deserializer of one part.
pub(super) struct Value<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) part: PartId,
}

impl Value<'_> {
    fn enter<Reader, T>(
        self,
        kind: Kind,
        name: Option<&'static str>,
        length: usize,
        read: impl FnOnce(&mut Tracer, usize) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.tracer.enter::<Reader, T>(self.part, Declaration::new(kind, name, length), read)
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $name:literal $values:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            visitor.$visit(self.tracer.scalar(self.part, $name, &$values)?.into())
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Value<'_> {
    type Error = Stop;

    scalars! {
        deserialize_bool visit_bool "bool" [false, true];
        deserialize_i8 visit_i8 "i8" [1_i8, 0, 2];
        deserialize_i16 visit_i16 "i16" INTEGERS;
        deserialize_i32 visit_i32 "i32" INTEGERS;
        deserialize_i64 visit_i64 "i64" INTEGERS;
        deserialize_i128 visit_i128 "i128" INTEGERS;
        deserialize_u8 visit_u8 "u8" INTEGERS;
        deserialize_u16 visit_u16 "u16" INTEGERS;
        deserialize_u32 visit_u32 "u32" INTEGERS;
        deserialize_u64 visit_u64 "u64" INTEGERS;
        deserialize_u128 visit_u128 "u128" INTEGERS;
        deserialize_f32 visit_f32 "f32" INTEGERS;
        deserialize_f64 visit_f64 "f64" INTEGERS;
        deserialize_char visit_char "char" ['a', '1'];
        deserialize_str visit_str "str" STRINGS;
        deserialize_string visit_str "str" STRINGS;
        deserialize_bytes visit_bytes "bytes" BYTES;
        deserialize_byte_buf visit_bytes "bytes" BYTES;
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.request(self.part, Shape::Scalar("unit"), 1)?;
        visitor.visit_unit()
    }

    /// The type skips this part.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.request(self.part, Shape::Scalar("ignored"), 1)?;
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.tracer.request(self.part, Shape::Any, 6)? {
            0 => visitor.visit_unit(),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_str(""),
            3 => visitor.visit_seq(Elements { tracer: self.tracer, index: 0, next: 0, end: 0 }),
            4 => visitor.visit_map(Elements { tracer: self.tracer, index: 0, next: 0, end: 0 }),
            _ => visitor.visit_bool(false),
        }
    }

    /// Offers an empty key. The names of fields and variants do not come here; this is the key of a map that serde reads
    /// in place of a struct with `flatten`.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.request(self.part, Shape::Any, 1)?;
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Option, None, 1, |tracer, index| match tracer.element_count(index) {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(tracer.offer((index, 0))),
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Newtype, Some(name), 1, |tracer, index| {
            de::Deserializer::deserialize_unit(tracer.offer((index, 0)), visitor)
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Newtype, Some(name), 1, |tracer, index| {
            visitor.visit_newtype_struct(tracer.offer((index, 0)))
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Seq, None, 1, |tracer, index| {
            let end = tracer.element_count(index);
            visitor.visit_seq(Elements { tracer, index, next: 0, end })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Tuple, None, length, |tracer, index| {
            visitor.visit_seq(Elements { tracer, index, next: 0, end: length })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Tuple, Some(name), length, |tracer, index| {
            visitor.visit_seq(Elements { tracer, index, next: 0, end: length })
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.enter::<V, _>(Kind::Map, None, 2, |tracer, index| {
            let end = 2 * tracer.element_count(index);
            visitor.visit_map(Elements { tracer, index, next: 0, end })
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.tracer.read_struct(self.part, Some(name), fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let declaration = Declaration::with_part_names(Kind::Enum, Some(name), variants);
        self.tracer.enter::<V, _>(self.part, declaration, |tracer, index| {
            let variant = tracer.choose_variant(index).ok_or(Stop::NoValue)?;
            visitor.visit_enum(Variant { tracer, part: (index, variant), name: variants[variant] })
        })
    }

    fn is_human_readable(&self) -> bool {
        self.tracer.human_readable
    }
}

impl Tracer {
    /// Returns a deserializer of a part.
    pub(super) fn offer(&mut self, part: PartId) -> Value<'_> {
        self.last = (part, None);
        self.part_mut(part).is_read = true;
        Value { tracer: self, part }
    }

    /// Offers a struct as a map from names to fields, as the codecs do.
    pub(super) fn read_struct<'de, V: Visitor<'de>>(
        &mut self,
        id: PartId,
        name: Option<&'static str>,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let declaration = Declaration::with_part_names(Kind::Struct, name, fields);
        self.enter::<V, _>(id, declaration, |tracer, index| {
            let order = tracer.field_order(index).into_iter();
            visitor.visit_map(Fields { tracer, index, names: fields, order, current: 0 })
        })
    }
}
