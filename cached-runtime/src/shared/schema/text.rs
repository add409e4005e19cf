//! What is known of a type, as the text that is hashed.

use super::types::{Kind, Part, ROOT, Shape, Type};

/// The name of the type, and below it what it consists of: each type that has a name to serde in a line of its own.
pub(super) fn describe(type_name: &str, types: &[Type]) -> String {
    let mut text = Text { types, out: String::new(), named: Vec::new(), within: Vec::new(), whole: true };
    text.part(&types[ROOT.0].parts[ROOT.1]);
    let mut line = 0;
    while let Some(index) = text.named.get(line).copied() {
        text.out.push('\n');
        text.name(index);
        text.body(index);
        line += 1;
    }
    // Lifetimes are shown by some compilers only.
    let name = type_name.replace("'_, ", "").replace("<'_>", "");
    let name = if text.whole { without_paths(&name) } else { name };
    format!("{name}\n{}", text.out)
}

/// `alloc::vec::Vec<shop::User>` is `Vec<User>`: types that move stay what they are.
pub(super) fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            let path = short.trim_end_matches(|c: char| c.is_alphanumeric() || "_{}#".contains(c)).len();
            short.truncate(path);
            rest = after;
        } else {
            short.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    short
}

/// Types without names are written where they are, and types in types in types can fill a book.
const MAX_LENGTH: usize = 1 << 20;

struct Text<'a> {
    types: &'a [Type],
    out: String,
    /// The types with names, in the order in which they are first mentioned.
    named: Vec<usize>,
    /// The types without names that are being written.
    within: Vec<usize>,
    /// Whether nothing is left open.
    whole: bool,
}

impl<'a> Text<'a> {
    fn part(&mut self, part: &Part) {
        match &*part.asked {
            [] => self.open("_"),
            [asked] => self.shape(asked.shape),
            [first, others @ ..] => {
                self.out.push('{');
                self.shape(first.shape);
                for other in others {
                    self.out.push('|');
                    self.shape(other.shape);
                }
                self.out.push('}');
            }
        }
    }

    fn shape(&mut self, shape: Shape) {
        match shape {
            Shape::Scalar(name) => self.out.push_str(name),
            Shape::Anything => self.open("any"),
            Shape::Type(index) if self.types[index].head.name.is_some() => self.name(index),
            Shape::Type(index) if self.within.contains(&index) => self.out.push('^'),
            Shape::Type(_) if self.out.len() > MAX_LENGTH => self.open("_"),
            Shape::Type(index) => {
                self.within.push(index);
                self.body(index);
                self.within.pop();
            }
        }
    }

    fn open(&mut self, sign: &str) {
        self.out.push_str(sign);
        self.whole = false;
    }

    /// Mentions a type; the second of its name is `"name"#2`.
    fn name(&mut self, index: usize) {
        if !self.named.contains(&index) {
            self.named.push(index);
        }
        let name = self.types[index].head.name;
        self.quote(name.unwrap_or_default());
        let before = self.named.iter().take_while(|other| **other != index);
        let number = before.filter(|other| self.types[**other].head.name == name).count() + 1;
        if number > 1 {
            self.out.push('#');
            self.out.push_str(&number.to_string());
        }
    }

    fn quote(&mut self, name: &str) {
        self.out.push('"');
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                self.out.push('\\');
            }
            self.out.push(c);
        }
        self.out.push('"');
    }

    fn body(&mut self, index: usize) {
        let types: &'a [Type] = self.types;
        let Type { head, parts, .. } = &types[index];
        let (before, between, after) = match head.kind {
            Kind::Option => ("?", "", ""),
            Kind::Newtype => ("=", "", ""),
            Kind::Seq => ("[", "", "]"),
            Kind::Map => ("[", ":", "]"),
            Kind::Tuple => ("(", ",", ")"),
            Kind::Struct => return self.labelled("{", head.labels, ":", parts, "}"),
            Kind::Enum => return self.labelled("<", head.labels, "", parts, ">"),
        };
        self.out.push_str(before);
        for (at, part) in parts.iter().enumerate() {
            self.out.push_str(if at == 0 { "" } else { between });
            self.part(part);
        }
        if parts.len() < head.length {
            self.open(",_");
        }
        self.out.push_str(after);
    }

    /// What goes by name is sorted by name: its order is not to be seen in the bytes.
    fn labelled(&mut self, before: &str, labels: &[&str], colon: &str, parts: &[Part], after: &str) {
        let mut sorted: Vec<_> = labels.iter().zip(parts).collect();
        sorted.sort_by_key(|(label, _)| **label);
        self.out.push_str(before);
        for (at, (label, part)) in sorted.into_iter().enumerate() {
            self.out.push_str(if at == 0 { "" } else { "," });
            self.quote(label);
            // What is only another name of a field has no type.
            if part.handed || !part.refused {
                self.out.push_str(colon);
                self.part(part);
            }
        }
        self.out.push_str(after);
    }
}
