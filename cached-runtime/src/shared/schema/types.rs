//! What has been found out about types.

/// A height above all others.
pub(super) const UNKNOWN: usize = usize::MAX >> 1;

/// A type with parts.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) head: Head,
    /// Parts by position are added as they are asked for.
    pub(super) parts: Vec<Part>,
    /// Whether there are parts that were not asked for yet, and can be; as of the beginning of the pass.
    pub(super) open: bool,
    /// How deep the smallest value is, or nothing if we can not make one; as of the beginning of the pass.
    pub(super) height: Option<usize>,
    /// How often it was looked into in this pass.
    pub(super) visits: usize,
    /// How often the present place is inside of it.
    pub(super) within: usize,
}

impl Type {
    pub(super) fn new(head: Head) -> Self {
        let mut parts = Vec::new();
        if head.kind != Kind::Tuple {
            parts.resize_with(head.length, Part::default);
        }
        // Until the next pass anything that is known already is preferred.
        Self { head, parts, open: true, height: Some(UNKNOWN), visits: 0, within: 0 }
    }
}

/// What a type announces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) kind: Kind,
    /// What serde calls it; a list has no name.
    pub(super) name: Option<&'static str>,
    /// The fields of a struct, or the variants of an enum.
    pub(super) labels: &'static [&'static str],
    /// How many parts it has.
    pub(super) length: usize,
}

impl Head {
    pub(super) fn new(kind: Kind, name: Option<&'static str>, length: usize) -> Self {
        Self { kind, name, labels: &[], length }
    }

    pub(super) fn labelled(kind: Kind, name: Option<&'static str>, labels: &'static [&'static str]) -> Self {
        Self { kind, name, labels, length: labels.len() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
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
pub(super) struct Part {
    /// Whether a value was asked for. Of what is only another name of a field, none is.
    pub(super) handed: bool,
    /// It is refused before it is said what it should be.
    pub(super) refused: bool,
    /// What was asked for. More than one if it depends on a part before it.
    pub(super) asked: Vec<Asked>,
}

impl Part {
    /// What we have a value for, as far as we know.
    pub(super) fn accepted(&self) -> impl Iterator<Item = Shape> {
        self.asked.iter().filter(|asked| !asked.refused).map(|asked| asked.shape)
    }
}

#[derive(Debug)]
pub(super) struct Asked {
    pub(super) shape: Shape,
    /// Which of so many values to give.
    pub(super) value: usize,
    pub(super) values: usize,
    /// All of them are refused.
    pub(super) refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(&'static str),
    /// Read by what it finds: we can not know.
    Anything,
    Type(usize),
}

/// The index of a type, and of a part of it.
pub(super) type Place = (usize, usize);

pub(super) const ROOT: Place = (0, 0);
