//! The description of a type: the string that is hashed.

use super::types::{Kind, Part, ROOT, Shape, Type};

/// Returns the name of a type and, below it, its shape, with a line for each type that has a name in serde.
pub(super) fn describe(type_name: &str, types: &[Type]) -> String {
    let mut writer =
        Writer { types, out: String::new(), named: Vec::new(), enclosing: Vec::new(), is_complete: true };
    writer.part(&types[ROOT.0].parts[ROOT.1]);
    let mut line = 0;
    while let Some(index) = writer.named.get(line).copied() {
        writer.out.push('\n');
        writer.name(index);
        writer.content(index);
        line += 1;
    }
    // Only some compilers show lifetimes.
    let name = type_name.replace("'_, ", "").replace("<'_>", "");
    let name = if writer.is_complete { without_paths(&name) } else { name };
    format!("{name}\n{}", writer.out)
}

/// Removes the paths, so that a type that moves to another module keeps its fingerprint.
///
/// `alloc::vec::Vec<shop::User>` becomes `Vec<User>`.
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

/// The length, in bytes, from which on types without names are left out. They are written in place, so nesting multiplies
/// the length.
const MAX_LENGTH: usize = 1 << 20;

struct Writer<'a> {
    types: &'a [Type],
    out: String,
    /// The named types, in the order in which they are first mentioned.
    named: Vec<usize>,
    /// The types without names that enclose the current part.
    enclosing: Vec<usize>,
    /// Whether everything is known.
    is_complete: bool,
}

impl<'a> Writer<'a> {
    fn part(&mut self, part: &Part) {
        match &*part.requests {
            [] => self.unknown("_"),
            [request] => self.shape(request.shape),
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
            Shape::Any => self.unknown("any"),
            Shape::Type(index) if self.types[index].declaration.name.is_some() => self.name(index),
            Shape::Type(index) if self.enclosing.contains(&index) => self.out.push('^'),
            Shape::Type(_) if self.out.len() > MAX_LENGTH => self.unknown("_"),
            Shape::Type(index) => {
                self.enclosing.push(index);
                self.content(index);
                self.enclosing.pop();
            }
        }
    }

    /// Writes the sign of a shape that is not known.
    fn unknown(&mut self, sign: &str) {
        self.out.push_str(sign);
        self.is_complete = false;
    }

    /// Writes the name of a type; the second type with the same name is `"name"#2`.
    fn name(&mut self, index: usize) {
        if !self.named.contains(&index) {
            self.named.push(index);
        }
        let name = self.types[index].declaration.name;
        self.quote(name.unwrap_or_default());
        let before = self.named.iter().take_while(|other| **other != index);
        let number = before.filter(|other| self.types[**other].declaration.name == name).count() + 1;
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

    fn content(&mut self, index: usize) {
        let types: &'a [Type] = self.types;
        let Type { declaration, parts, .. } = &types[index];
        let (before, between, after) = match declaration.kind {
            Kind::Option => ("?", "", ""),
            Kind::Newtype => ("=", "", ""),
            Kind::Seq => ("[", "", "]"),
            Kind::Map => ("[", ":", "]"),
            Kind::Tuple => ("(", ",", ")"),
            Kind::Struct => return self.named_parts("{", declaration.part_names, ":", parts, "}"),
            Kind::Enum => return self.named_parts("<", declaration.part_names, "", parts, ">"),
        };
        self.out.push_str(before);
        for (at, part) in parts.iter().enumerate() {
            self.out.push_str(if at == 0 { "" } else { between });
            self.part(part);
        }
        if parts.len() < declaration.length {
            self.unknown(",_");
        }
        self.out.push_str(after);
    }

    /// Writes named parts sorted by name, because their order does not affect the encoded bytes.
    fn named_parts(&mut self, before: &str, names: &[&str], colon: &str, parts: &[Part], after: &str) {
        let mut sorted: Vec<_> = names.iter().zip(parts).collect();
        sorted.sort_by_key(|(name, _)| **name);
        self.out.push_str(before);
        for (at, (name, part)) in sorted.into_iter().enumerate() {
            self.out.push_str(if at == 0 { "" } else { "," });
            self.quote(name);
            // An alias of a field has no shape.
            if part.is_read || !part.is_rejected {
                self.out.push_str(colon);
                self.part(part);
            }
        }
        self.out.push_str(after);
    }
}
