//! Access to the parts of a made-up value: elements, fields and the content of variants.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Visitor};

use super::deserializer::{Stop, Value};
use super::tracer::Tracer;
use super::types::{Declaration, Kind, PartId, Shape};

/// The elements of a list or a tuple, or the keys and values of a map.
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
        seed.deserialize(self.tracer.offer((self.index, self.next - 1))).map(Some)
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
        self.next(seed)?.ok_or(Stop::NoValue)
    }

    fn size_hint(&self) -> Option<usize> {
        Some((self.end - self.next) / 2)
    }
}

/// The fields of a struct.
pub(super) struct Fields<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) index: usize,
    pub(super) names: &'static [&'static str],
    pub(super) order: std::vec::IntoIter<usize>,
    pub(super) current: usize,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = Stop;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.tracer.step()?;
        let Some(field) = self.order.next() else {
            // The struct must not end without a field that has no value: the type may have a default for it and accept that.
            let is_complete = self.tracer.min_depth(self.index).is_some();
            return if is_complete { Ok(None) } else { Err(Stop::NoValue) };
        };
        self.current = field;
        self.tracer.last = ((self.index, field), None);
        seed.deserialize(StrDeserializer::new(self.names[field])).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.tracer.offer((self.index, self.current)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.order.len())
    }
}

/// One variant of an enum.
pub(super) struct Variant<'a> {
    pub(super) tracer: &'a mut Tracer,
    pub(super) part: PartId,
    pub(super) name: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Stop> {
        self.tracer.last = (self.part, None);
        let value = seed.deserialize(StrDeserializer::new(self.name))?;
        self.tracer.part_mut(self.part).is_read = true;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        self.tracer.request(self.part, Shape::Scalar(""), 1).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        let Self { tracer, part, .. } = self;
        tracer.enter::<T, _>(part, Declaration::new(Kind::Newtype, None, 1), |tracer, index| {
            seed.deserialize(tracer.offer((index, 0)))
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        de::Deserializer::deserialize_tuple(Value { tracer: self.tracer, part: self.part }, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.tracer.read_struct(self.part, None, fields, visitor)
    }
}
