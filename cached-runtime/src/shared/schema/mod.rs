//! What a type looks like to serde, told by letting it read made-up values.
//!
//! A type is read again and again, each time along another variant or with another value, until every part of it has
//! been asked for, or nothing new is learned. `docs/WIRE.md` describes the text that comes out of it.

#[cfg(test)]
mod tests;
mod text;

use std::any::TypeId;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor};
use sha2::{Digest as _, Sha256};

/// The first 8 bytes of the SHA-256 of what a type looks like, in encodings that are readable for people or not.
///
/// It depends on nothing but the source of the type: neither on its module, nor on the order of its fields.
pub(crate) fn fingerprint<V: DeserializeOwned>(human_readable: bool) -> u64 {
    let digest = Sha256::digest(describe::<V>(human_readable));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What is hashed.
fn describe<V: DeserializeOwned>(human_readable: bool) -> String {
    text::describe(std::any::type_name::<V>(), &trace::<V>(human_readable).types)
}

/// Finds out what can be found out; it does not fail.
fn trace<V: DeserializeOwned>(human_readable: bool) -> Tracer {
    let mut tracer = Tracer::new(human_readable);
    while tracer.next_pass() {
        let value = Value { tracer: &mut tracer, place: ROOT };
        // An `impl Deserialize` by hand may panic. The tracer is in order whenever it calls one.
        match catch_unwind(AssertUnwindSafe(|| V::deserialize(value).map(drop))) {
            Ok(Ok(()) | Err(Stop::Ours)) => {}
            Ok(Err(Stop::Theirs)) => tracer.refused(),
            Err(_) => tracer.panicked(),
        }
    }
    tracer
}

/// Calls of the deserializer, in all passes together. Most types need less than a hundred.
const MAX_STEPS: usize = 100_000;
const MAX_PASSES: usize = 1_000;
/// Types in each other, on the way from the outermost. A value has at most 128 levels.
const MAX_DEPTH: usize = 64;
/// How often one type is looked into in one pass: lists of lists of lists would double the work at each level.
const MAX_VISITS: usize = 8;
/// Passes in a row that bring nothing new, each along other variants.
const MAX_IDLE: usize = 32;

/// A height above all others.
const UNKNOWN: usize = usize::MAX >> 1;

/// What is tried, in this order, when a value is refused. The first is what most types take.
const INTEGERS: [u8; 3] = [1, 0, 2];
const TEXTS: [&str; 13] = [
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

/// What has been found out, and where the present pass is.
struct Tracer {
    human_readable: bool,
    types: Vec<Type>,
    /// The types by what reads them: a type that contains itself, or is used twice, is one.
    known: HashMap<(TypeId, Kind, &'static str), usize>,
    /// Where something was given last, and as which of the shapes there, if it came to that. If somebody refuses a value,
    /// this is most likely the one.
    last: (Place, Option<usize>),
    facts: usize,
    facts_before: usize,
    steps: usize,
    passes: usize,
    /// Passes in a row that brought nothing new.
    idle: usize,
    depth: usize,
    /// How many of the types around the present place are inside of themselves.
    repeated: usize,
}

/// A type with parts.
#[derive(Debug)]
struct Type {
    head: Head,
    /// Parts by position are added as they are asked for.
    parts: Vec<Part>,
    /// Whether there are parts that were not asked for yet, and can be; as of the beginning of the pass.
    open: bool,
    /// How deep the smallest value is, or nothing if we can not make one; as of the beginning of the pass.
    height: Option<usize>,
    /// How often it was looked into in this pass.
    visits: usize,
    /// How often the present place is inside of it.
    within: usize,
}

/// What a type announces.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    /// What serde calls it; a list has no name.
    name: Option<&'static str>,
    /// The fields of a struct, or the variants of an enum.
    labels: &'static [&'static str],
    /// How many parts it has.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Option,
    Seq,
    Map,
    /// Parts by position.
    Tuple,
    /// One part, which stands for the whole.
    Newtype,
    /// Parts by name.
    Struct,
    /// One of its parts.
    Enum,
}

/// A field, an element, a variant.
#[derive(Debug, Default)]
struct Part {
    /// Whether a value was asked for. Of what is only another name of a field, none is.
    handed: bool,
    /// It is refused before it is said what it should be.
    refused: bool,
    /// What was asked for. More than one if it depends on a part before it.
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    shape: Shape,
    /// Which of so many values to give.
    value: usize,
    values: usize,
    /// All of them are refused.
    refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Scalar(&'static str),
    /// Read by what it finds: we can not know.
    Anything,
    Type(usize),
}

/// The index of a type, and of a part of it.
type Place = (usize, usize);

const ROOT: Place = (0, 0);

impl Tracer {
    fn new(human_readable: bool) -> Self {
        let mut tracer = Self {
            human_readable,
            types: Vec::new(),
            known: HashMap::new(),
            last: (ROOT, None),
            facts: 1,
            facts_before: 0,
            steps: 0,
            passes: 0,
            idle: 0,
            depth: 0,
            repeated: 0,
        };
        tracer.types.push(Type::new(Head::new(Kind::Newtype, None, 1)));
        tracer.part(ROOT).handed = true;
        tracer
    }

    /// Whether the type is to be read once more.
    fn next_pass(&mut self) -> bool {
        self.idle = if self.facts > self.facts_before { 0 } else { self.idle + 1 };
        self.facts_before = self.facts;
        self.passes += 1;
        (self.depth, self.repeated) = (0, 0);
        self.last = (ROOT, None);
        for each in &mut self.types {
            (each.visits, each.within) = (0, 0);
        }
        self.survey();
        let bounded = self.steps < MAX_STEPS && self.passes <= MAX_PASSES && self.idle <= MAX_IDLE;
        self.types[ROOT.0].open && bounded
    }

    /// Finds out what is open, and of what there can be a value: from the inside to the outside, until nothing changes.
    fn survey(&mut self) {
        for each in &mut self.types {
            (each.open, each.height) = (false, None);
        }
        loop {
            let mut changed = false;
            for index in (0..self.types.len()).rev() {
                let judged = (self.is_open(index), self.height(index));
                let each = &mut self.types[index];
                changed |= (each.open, each.height) != judged;
                (each.open, each.height) = judged;
            }
            if !changed {
                return;
            }
        }
    }

    fn is_open(&self, index: usize) -> bool {
        let each = &self.types[index];
        if !matches!(each.head.kind, Kind::Tuple | Kind::Map) {
            return each.parts.iter().any(|part| self.part_is_open(part));
        }
        // They are read in order: what is behind a part that is always refused is out of reach.
        for part in &each.parts {
            if self.part_is_open(part) {
                return true;
            }
            if self.part_height(part).is_none() {
                return false;
            }
        }
        each.parts.len() < each.head.length
    }

    fn part_is_open(&self, part: &Part) -> bool {
        let open = |shape| matches!(shape, Shape::Type(index) if self.types[index].open);
        !part.refused && (part.asked.is_empty() || part.accepted().any(open))
    }

    fn height(&self, index: usize) -> Option<usize> {
        let each = &self.types[index];
        let mut parts = each.parts.iter().filter(|part| part.handed).map(|part| self.part_height(part));
        match each.head.kind {
            Kind::Option | Kind::Seq | Kind::Map => Some(0),
            Kind::Tuple | Kind::Newtype | Kind::Struct => {
                parts.try_fold(0, |highest, part| Some(highest.max(part?.saturating_add(1))))
            }
            Kind::Enum => {
                each.parts.iter().filter_map(|part| self.part_height(part)).min().map(|least| least + 1)
            }
        }
    }

    fn part_height(&self, part: &Part) -> Option<usize> {
        let height = |shape| match shape {
            Shape::Scalar(_) | Shape::Anything => Some(0),
            Shape::Type(index) => self.types[index].height,
        };
        match (part.refused, &*part.asked) {
            (true, _) => None,
            (false, []) => Some(0),
            (false, _) => part.accepted().filter_map(height).min(),
        }
    }

    /// Somebody refused what he was given: the last value is blamed, and another one given in the next pass.
    fn refused(&mut self) {
        let (place, asked) = self.last;
        let part = self.part(place);
        let refused = match asked.map(|at| &mut part.asked[at]) {
            Some(asked) if asked.value + 1 < asked.values => {
                asked.value += 1;
                self.facts += 1;
                return;
            }
            Some(asked) => &mut asked.refused,
            None => &mut part.refused,
        };
        if !std::mem::replace(refused, true) {
            self.facts += 1;
        }
    }

    /// No other value is tried: what panics once is likely to do it again.
    fn panicked(&mut self) {
        if let (place, Some(at)) = self.last {
            self.part(place).asked[at].values = 0;
        }
        self.refused();
    }

    /// The part at a place; parts by position are made when they are first asked for.
    fn part(&mut self, (index, part): Place) -> &mut Part {
        let parts = &mut self.types[index].parts;
        if parts.len() <= part {
            parts.resize_with(part + 1, Part::default);
        }
        &mut parts[part]
    }

    fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Stop::Ours) } else { Ok(()) }
    }

    /// A value of this shape is asked for at this place, of which we have so many to offer. Returns which to give.
    fn ask(&mut self, place: Place, shape: Shape, values: usize) -> Result<usize, Stop> {
        self.step()?;
        let asked = &mut self.part(place).asked;
        let at = asked.iter().position(|asked| asked.shape == shape).unwrap_or(asked.len());
        if at == asked.len() {
            asked.push(Asked { shape, value: 0, values, refused: false });
            self.facts += 1;
        }
        self.last = (place, Some(at));
        Ok(self.part(place).asked[at].value)
    }

    fn scalar<T: Copy>(&mut self, place: Place, name: &'static str, values: &[T]) -> Result<T, Stop> {
        Ok(values[self.ask(place, Shape::Scalar(name), values.len())?])
    }

    /// Enters a type with parts, and gives it to whoever reads it. `Reader` stands for the type.
    fn enter<Reader, T>(
        &mut self,
        place: Place,
        head: Head,
        read: impl FnOnce(&mut Self, usize) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let next = self.types.len();
        let key = (typeid::of::<Reader>(), head.kind, head.name.unwrap_or_default());
        let index = *self.known.entry(key).or_insert(next);
        if index == next {
            self.types.push(Type::new(head));
        }
        self.ask(place, Shape::Type(index), 1)?;
        if self.depth == MAX_DEPTH {
            self.refused();
            return Err(Stop::Ours);
        }
        let repeated = usize::from(self.types[index].within > 0);
        self.depth += 1;
        self.repeated += repeated;
        self.types[index].visits += 1;
        self.types[index].within += 1;
        let result = read(self, index);
        self.types[index].within -= 1;
        self.repeated -= repeated;
        self.depth -= 1;
        result
    }

    /// Whether to look into a type, and not only to make the smallest value of it: inside of itself it would never end.
    fn looks_into(&self, index: usize) -> bool {
        self.repeated == 0 && self.types[index].visits <= MAX_VISITS
    }

    /// How many elements to give to an option, a list or a map.
    fn elements(&self, index: usize) -> usize {
        let possible = self.types[index].parts.iter().all(|part| self.part_height(part).is_some());
        usize::from(self.looks_into(index) && (possible || self.is_open(index)))
    }

    /// Which variant to give.
    fn variant(&self, index: usize) -> Option<usize> {
        let parts = &self.types[index].parts;
        let all = || 0..parts.len();
        let open = |at: &usize| self.part_is_open(&parts[*at]);
        let height = |at: &usize| self.part_height(&parts[*at]);
        if !self.looks_into(index) {
            return all().filter(|at| height(at).is_some()).min_by_key(height);
        }
        // Those that can be finished, then those that can not; if nothing is new there, another one each time: what is
        // behind the enum may depend on the variant.
        let choices = [
            all().filter(|at| open(at) && height(at).is_some()).collect::<Vec<_>>(),
            all().filter(open).collect(),
            all().filter(|at| height(at).is_some()).collect(),
        ];
        let choice = choices.into_iter().find(|choice| !choice.is_empty())?;
        Some(choice[self.idle % choice.len()])
    }

    /// The fields to give, in this order.
    fn fields(&self, index: usize) -> Vec<usize> {
        let parts = &self.types[index].parts;
        let possible = |at: &usize| self.part_height(&parts[*at]).is_some();
        let open = |at: &usize| self.part_is_open(&parts[*at]);
        // What is refused ends the pass, so it comes last.
        let last = (0..parts.len()).filter(|at| !possible(at) && open(at));
        (0..parts.len()).filter(possible).chain(last).collect()
    }
}

impl Part {
    /// What we have a value for, as far as we know.
    fn accepted(&self) -> impl Iterator<Item = Shape> {
        self.asked.iter().filter(|asked| !asked.refused).map(|asked| asked.shape)
    }
}

impl Type {
    fn new(head: Head) -> Self {
        let mut parts = Vec::new();
        if head.kind != Kind::Tuple {
            parts.resize_with(head.length, Part::default);
        }
        // Until the next pass anything that is known already is preferred.
        Self { head, parts, open: true, height: Some(UNKNOWN), visits: 0, within: 0 }
    }
}

impl Head {
    fn new(kind: Kind, name: Option<&'static str>, length: usize) -> Self {
        Self { kind, name, labels: &[], length }
    }

    fn labelled(kind: Kind, name: Option<&'static str>, labels: &'static [&'static str]) -> Self {
        Self { kind, name, labels, length: labels.len() }
    }
}

/// Why a pass has ended before its end.
#[derive(Debug)]
enum Stop {
    /// We have no value to give.
    Ours,
    /// What we gave was refused.
    Theirs,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value was made up to look at its type")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T>(_: T) -> Self {
        Self::Theirs
    }
}

/// The value at a place, as whoever reads it sees it.
struct Value<'a> {
    tracer: &'a mut Tracer,
    place: Place,
}

impl Value<'_> {
    fn is<Reader, T>(
        self,
        kind: Kind,
        name: Option<&'static str>,
        length: usize,
        read: impl FnOnce(&mut Tracer, usize) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.tracer.enter::<Reader, T>(self.place, Head::new(kind, name, length), read)
    }
}

macro_rules! scalars {
    ($($method:ident $visit:ident $name:literal $values:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            visitor.$visit(self.tracer.scalar(self.place, $name, &$values)?.into())
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
        deserialize_str visit_str "str" TEXTS;
        deserialize_string visit_str "str" TEXTS;
        deserialize_bytes visit_bytes "bytes" BYTES;
        deserialize_byte_buf visit_bytes "bytes" BYTES;
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.ask(self.place, Shape::Scalar("unit"), 1)?;
        visitor.visit_unit()
    }

    /// Nothing of it is read.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.ask(self.place, Shape::Scalar("ignored"), 1)?;
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.tracer.ask(self.place, Shape::Anything, 6)? {
            0 => visitor.visit_unit(),
            1 => visitor.visit_u64(1),
            2 => visitor.visit_str(""),
            3 => visitor.visit_seq(Elements { tracer: self.tracer, index: 0, next: 0, end: 0 }),
            4 => visitor.visit_map(Elements { tracer: self.tracer, index: 0, next: 0, end: 0 }),
            _ => visitor.visit_bool(false),
        }
    }

    /// Here it is not a field of a struct, whose names we know, but a key of a map, such as `flatten` makes of a struct.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.tracer.ask(self.place, Shape::Anything, 1)?;
        visitor.visit_str("")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Option, None, 1, |tracer, index| match tracer.elements(index) {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(tracer.hand((index, 0))),
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Newtype, Some(name), 1, |tracer, index| {
            de::Deserializer::deserialize_unit(tracer.hand((index, 0)), visitor)
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Newtype, Some(name), 1, |tracer, index| {
            visitor.visit_newtype_struct(tracer.hand((index, 0)))
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Seq, None, 1, |tracer, index| {
            let end = tracer.elements(index);
            visitor.visit_seq(Elements { tracer, index, next: 0, end })
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Tuple, None, length, |tracer, index| {
            visitor.visit_seq(Elements { tracer, index, next: 0, end: length })
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Tuple, Some(name), length, |tracer, index| {
            visitor.visit_seq(Elements { tracer, index, next: 0, end: length })
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.is::<V, _>(Kind::Map, None, 2, |tracer, index| {
            let end = 2 * tracer.elements(index);
            visitor.visit_map(Elements { tracer, index, next: 0, end })
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.tracer.read_struct(self.place, Some(name), fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let head = Head::labelled(Kind::Enum, Some(name), variants);
        self.tracer.enter::<V, _>(self.place, head, |tracer, index| {
            let variant = tracer.variant(index).ok_or(Stop::Ours)?;
            visitor.visit_enum(Variant { tracer, place: (index, variant), name: variants[variant] })
        })
    }

    fn is_human_readable(&self) -> bool {
        self.tracer.human_readable
    }
}

impl Tracer {
    fn hand(&mut self, place: Place) -> Value<'_> {
        self.last = (place, None);
        self.part(place).handed = true;
        Value { tracer: self, place }
    }

    /// Fields go by name, as in the stores.
    fn read_struct<'de, V: Visitor<'de>>(
        &mut self,
        place: Place,
        name: Option<&'static str>,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let head = Head::labelled(Kind::Struct, name, fields);
        self.enter::<V, _>(place, head, |tracer, index| {
            let order = tracer.fields(index).into_iter();
            visitor.visit_map(Fields { tracer, index, names: fields, order, at: 0 })
        })
    }
}

/// Elements of a list or a tuple, or the key and the value of a map.
struct Elements<'a> {
    tracer: &'a mut Tracer,
    index: usize,
    next: usize,
    end: usize,
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

struct Fields<'a> {
    tracer: &'a mut Tracer,
    index: usize,
    names: &'static [&'static str],
    order: std::vec::IntoIter<usize>,
    at: usize,
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

struct Variant<'a> {
    tracer: &'a mut Tracer,
    place: Place,
    name: &'static str,
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
