//! The arguments in a key as text, for people who look for an entry: the option `readable`.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};

use super::key::is_plain;

/// The maximum length of the text, in characters.
pub(super) const MAX_LEN: usize = 48;

/// Returns arguments, which are encoded in `MessagePack`, as text: their parts with commas between them, and `_` for every
/// character that some protocol would have to escape. It is cut to `max` characters, and to [`MAX_LEN`].
pub(super) fn text(arguments: &[u8], max: usize) -> String {
    let mut text = Text { text: String::new(), max: max.min(MAX_LEN) };
    // It stops where the text is long enough.
    let _ = rmp_serde::Deserializer::new(arguments).deserialize_any(Parts(&mut text));
    text.text
}

struct Text {
    text: String,
    max: usize,
}

impl Text {
    /// Adds a part; returns `false` if there is no place for another one.
    fn add(&mut self, part: &str) -> bool {
        let comma = if self.text.is_empty() { "" } else { "," };
        let free = self.max - self.text.len();
        let plain = |c| if is_plain(c) { c } else { '_' };
        self.text.extend(comma.chars().chain(part.chars()).map(plain).take(free));
        self.text.len() < self.max
    }
}

/// Visits a value, and adds each part of it.
struct Parts<'a>(&'a mut Text);

impl Parts<'_> {
    fn add<E: serde::de::Error>(&mut self, part: &str) -> Result<(), E> {
        if self.0.add(part) { Ok(()) } else { Err(E::custom("the text is long enough")) }
    }
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: serde::de::Error>(mut self, value: bool) -> Result<(), E> {
        self.add(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(mut self, value: i64) -> Result<(), E> {
        self.add(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(mut self, value: u64) -> Result<(), E> {
        self.add(&value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(mut self, value: f64) -> Result<(), E> {
        self.add(&value.to_string())
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<(), E> {
        self.add(value)
    }

    fn visit_bytes<E: serde::de::Error>(mut self, value: &[u8]) -> Result<(), E> {
        self.add(&String::from_utf8_lossy(value))
    }

    fn visit_unit<E: serde::de::Error>(mut self) -> Result<(), E> {
        self.add("-")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while parts.next_element_seed(Seed(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while fields.next_key::<serde::de::IgnoredAny>()?.is_some() {
            fields.next_value_seed(Seed(&mut *self.0))?;
        }
        Ok(())
    }
}

/// Adds the parts of an inner value.
struct Seed<'a>(&'a mut Text);

impl<'de> serde::de::DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Parts(self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Query {
        page: i32,
        order: Option<Order>,
    }

    #[derive(Serialize)]
    enum Order {
        Name,
        By { field: &'static str },
    }

    fn text_of(arguments: &impl Serialize) -> String {
        text(&rmp_serde::to_vec_named(arguments).unwrap(), 120)
    }

    #[test]
    fn arguments_are_plain_text() {
        assert_eq!(text_of(&(42, "en", true, 0.5, -1)), "42,en,true,0.5,-1");
        assert_eq!(text_of(&("a b\r\n{é}", vec![1, 2], None::<u8>, 'x')), "a_b_____,1,2,-,x");
        let query = |order| (Query { page: 3, order },);
        assert_eq!(text_of(&query(Some(Order::Name))), "3,Name");
        assert_eq!(text_of(&query(Some(Order::By { field: "price" }))), "3,price");
        assert_eq!(text_of(&()), "-");
    }

    #[test]
    fn it_is_cut() {
        assert_eq!(text_of(&("x".repeat(100),)), "x".repeat(MAX_LEN));
        assert_eq!(text_of(&("é".repeat(100),)), "_".repeat(MAX_LEN));
        assert_eq!(text_of(&vec![1; 1_000]).len(), MAX_LEN);
        assert_eq!(text(&rmp_serde::to_vec_named(&(1, 2, 3)).unwrap(), 4), "1,2,");
        assert_eq!(text(&rmp_serde::to_vec_named(&(1, 2, 3)).unwrap(), 0), "");
        assert_eq!(text(b"\xc1 not msgpack", 10), "");
    }
}
