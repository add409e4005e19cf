//! What a trace has found out about types.

/// The minimal depth of a type that was just discovered, which is more than that of any other type.
const UNKNOWN_DEPTH: usize = usize::MAX >> 1;

/// A type with parts.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) declaration: Declaration,
    /// Parts by position are added when they are first requested.
    pub(super) parts: Vec<Part>,
    /// Whether parts that can be reached were not requested yet, at the beginning of the pass.
    pub(super) is_unexplored: bool,
    /// The depth of the smallest value, or `None` if no value can be made up; at the beginning of the pass.
    pub(super) min_depth: Option<usize>,
    /// How often it was entered in this pass.
    pub(super) visits: usize,
    /// How many of its values enclose the current part.
    pub(super) nesting: usize,
}

impl Type {
    pub(super) fn new(declaration: Declaration) -> Self {
        let mut parts = Vec::new();
        if declaration.kind != Kind::Tuple {
            parts.resize_with(declaration.length, Part::default);
        }
        // Until the next pass all types that are known already are preferred to it.
        Self {
            declaration,
            parts,
            is_unexplored: true,
            min_depth: Some(UNKNOWN_DEPTH),
            visits: 0,
            nesting: 0,
        }
    }
}

/// What a type declares to serde.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declaration {
    pub(super) kind: Kind,
    /// The name that serde has for it; a list has none.
    pub(super) name: Option<&'static str>,
    /// The names of the fields of a struct, or of the variants of an enum.
    pub(super) part_names: &'static [&'static str],
    /// How many parts it has.
    pub(super) length: usize,
}

impl Declaration {
    pub(super) fn new(kind: Kind, name: Option<&'static str>, length: usize) -> Self {
        Self { kind, name, part_names: &[], length }
    }

    pub(super) fn with_part_names(
        kind: Kind,
        name: Option<&'static str>,
        part_names: &'static [&'static str],
    ) -> Self {
        Self { kind, name, part_names, length: part_names.len() }
    }
}

/// How the value of a type consists of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Option,
    Seq,
    Map,
    /// All parts, by position.
    Tuple,
    /// Its one part.
    Newtype,
    /// All parts, by name.
    Struct,
    /// One of its parts.
    Enum,
}

/// A field, an element or a variant.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Whether the type took a deserializer for it. It takes none for an alias of another field.
    pub(super) is_read: bool,
    /// Whether the type rejects it before it requests a shape.
    pub(super) is_rejected: bool,
    /// The shapes that were requested; several if they depend on a part before it.
    pub(super) requests: Vec<Request>,
}

impl Part {
    /// Returns the shapes for which a value is known that may be accepted.
    pub(super) fn accepted_shapes(&self) -> impl Iterator<Item = Shape> {
        self.requests.iter().filter(|request| !request.is_rejected).map(|request| request.shape)
    }
}

/// A shape that was requested for a part, and the values to answer with.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) shape: Shape,
    /// The index of the value to try next.
    pub(super) value: usize,
    /// How many values there are to try.
    pub(super) values: usize,
    /// Whether all values were rejected.
    pub(super) is_rejected: bool,
}

/// What a type requests of the deserializer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(&'static str),
    /// Whatever the data contains, so nothing can be known about it.
    Any,
    /// The type with this index.
    Type(usize),
}

/// The index of a type and the index of one of its parts.
pub(super) type PartId = (usize, usize);

/// The part that stands for the whole value.
pub(super) const ROOT: PartId = (0, 0);
