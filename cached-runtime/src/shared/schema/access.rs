//! The parts of made-up values.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Visitor};

use super::deserializer::{Stop, Value};
use super::tracer::Tracer;
use super::types::{Head, Kind, Place, Shape};

/// Elements of a list or a tuple, or the key and the value of a map.
pub(super) struct Elements<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) index: usize,
    pub(super) next: usize,
    pub(super) end: usize,
}

impl Elements<'_> {
    fn next<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.tracer.step()?;
        if self.next == self.end {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(self.tracer.hand((self.index, self.next - 1))).map(Some)
    }
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.end - self.next)
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_> {
    type Error = Stop;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        self.next(seed)?.ok_or(Stop::Ours)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.end - self.next) / 2)
    }
}

pub(super) struct Fields<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) index: usize,
    pub(super) names: &'static [&'static str],
    pub(super) order: std::vec::IntoIter<usize>,
    pub(super) at: usize,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Stop;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.tracer.step()?;
        let Some(at) = self.order.next() else {
            // A field for which there is no value is not left out: it may have a default.
            let whole = self.tracer.height(self.index).is_some();
            return if whole { Ok(None) } else { Err(Stop::Ours) };
        };
        self.at = at;
        self.tracer.last = ((self.index, at), None);
        seed.deserialize(StrDeserializer::new(self.names[at])).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.tracer.hand((self.index, self.at)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.order.len())
    }
}

pub(super) struct Variant<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) place: Place,
    pub(super) name: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Stop> {
        self.tracer.last = (self.place, None);
        let value = seed.deserialize(StrDeserializer::new(self.name))?;
        self.tracer.part(self.place).handed = true;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.tracer.ask(self.place, Shape::Scalar(""), 1).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        let Self { tracer, place, .. } = self;
        tracer.enter::<T, _>(place, Head::new(Kind::Newtype, None, 1), |tracer, index| {
            seed.deserialize(tracer.hand((index, 0)))
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        de::Deserializer::deserialize_tuple(Value { tracer: self.tracer, place: self.place }, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.tracer.read_struct(self.place, None, fields, visitor)
    }
}
