//! The tracer: what the passes so far have found out about types, and what the next pass offers them.

use std::any::TypeId;
use std::collections::HashMap;

use super::deserializer::Stop;
use super::types::{Declaration, Kind, Part, PartId, ROOT, Request, Shape, Type};

/// How many calls of the deserializer there are in all passes together. Most types need less than a hundred.
pub(super) const MAX_STEPS: usize = 100_000;
const MAX_PASSES: usize = 1_000;
/// How many types may enclose a part. A stored value has at most 128 levels.
const MAX_DEPTH: usize = 64;
/// How often a type is explored in one pass. Without a limit nested lists would double the work at each level.
const MAX_VISITS: usize = 8;
/// How many passes in a row may find nothing new. Each of them reads along other variants.
const MAX_IDLE_PASSES: usize = 32;

/// What was found out, and where the current pass is.
pub(super) struct Tracer {
    pub(super) human_readable: bool,
    pub(super) types: Vec<Type>,
    /// The indices of the types by their visitors, so that a type that contains itself or is used twice is one type.
    indices: HashMap<(TypeId, Kind, &'static str), usize>,
    /// The part that was offered last, with the index of its request if there was one. If a type rejects a value, this is
    /// most likely the rejected part.
    pub(super) last: (PartId, Option<usize>),
    /// How many facts were found in all passes.
    facts: usize,
    /// How many facts were known when the previous pass began.
    facts_before: usize,
    pub(super) steps: usize,
    passes: usize,
    /// How many passes in a row found nothing new.
    idle_passes: usize,
    /// How many types enclose the current part.
    depth: usize,
    /// How many of these are enclosed by themselves.
    recursion: usize,
}

impl Tracer {
    pub(super) fn new(human_readable: bool) -> Self {
        let mut tracer = Self {
            human_readable,
            types: Vec::new(),
            indices: HashMap::new(),
            last: (ROOT, None),
            facts: 1,
            facts_before: 0,
            steps: 0,
            passes: 0,
            idle_passes: 0,
            depth: 0,
            recursion: 0,
        };
        tracer.types.push(Type::new(Declaration::new(Kind::Newtype, None, 1)));
        tracer.part_mut(ROOT).is_read = true;
        tracer
    }

    /// Begins a pass; returns `false` if the trace is complete or a limit is reached.
    pub(super) fn begin_pass(&mut self) -> bool {
        self.idle_passes = if self.facts > self.facts_before { 0 } else { self.idle_passes + 1 };
        self.facts_before = self.facts;
        self.passes += 1;
        (self.depth, self.recursion) = (0, 0);
        self.last = (ROOT, None);
        for each in &mut self.types {
            (each.visits, each.nesting) = (0, 0);
        }
        self.update_types();
        let is_within_limits =
            self.steps < MAX_STEPS && self.passes <= MAX_PASSES && self.idle_passes <= MAX_IDLE_PASSES;
        self.types[ROOT.0].is_unexplored && is_within_limits
    }

    /// Recomputes which types are unexplored and how deep their smallest values are, until nothing changes.
    ///
    /// Types are discovered from the outside to the inside, so the reverse order needs the fewest rounds.
    fn update_types(&mut self) {
        for each in &mut self.types {
            (each.is_unexplored, each.min_depth) = (false, None);
        }
        loop {
            let mut has_changed = false;
            for index in (0..self.types.len()).rev() {
                let updated = (self.is_unexplored(index), self.min_depth(index));
                let each = &mut self.types[index];
                has_changed |= (each.is_unexplored, each.min_depth) != updated;
                (each.is_unexplored, each.min_depth) = updated;
            }
            if !has_changed {
                return;
            }
        }
    }

    fn is_unexplored(&self, index: usize) -> bool {
        let each = &self.types[index];
        if !matches!(each.declaration.kind, Kind::Tuple | Kind::Map) {
            return each.parts.iter().any(|part| self.is_part_unexplored(part));
        }
        // These parts are read in order: those behind a part that is always rejected are out of reach.
        for part in &each.parts {
            if self.is_part_unexplored(part) {
                return true;
            }
            if self.part_min_depth(part).is_none() {
                return false;
            }
        }
        each.parts.len() < each.declaration.length
    }

    fn is_part_unexplored(&self, part: &Part) -> bool {
        let is_unexplored = |shape| matches!(shape, Shape::Type(index) if self.types[index].is_unexplored);
        !part.is_rejected && (part.requests.is_empty() || part.accepted_shapes().any(is_unexplored))
    }

    /// Returns the depth of the smallest value of a type, or `None` if no value can be made up.
    pub(super) fn min_depth(&self, index: usize) -> Option<usize> {
        let each = &self.types[index];
        let mut depths = each.parts.iter().filter(|part| part.is_read).map(|part| self.part_min_depth(part));
        match each.declaration.kind {
            Kind::Option | Kind::Seq | Kind::Map => Some(0),
            Kind::Tuple | Kind::Newtype | Kind::Struct => {
                depths.try_fold(0, |deepest, depth| Some(deepest.max(depth?.saturating_add(1))))
            }
            Kind::Enum => {
                let depths = each.parts.iter().filter_map(|part| self.part_min_depth(part));
                depths.min().map(|least| least + 1)
            }
        }
    }

    fn part_min_depth(&self, part: &Part) -> Option<usize> {
        let depth = |shape| match shape {
            Shape::Scalar(_) | Shape::Any => Some(0),
            Shape::Type(index) => self.types[index].min_depth,
        };
        match (part.is_rejected, &*part.requests) {
            (true, _) => None,
            (false, []) => Some(0),
            (false, _) => part.accepted_shapes().filter_map(depth).min(),
        }
    }

    /// Notes that a type rejected a value: blames the last part, and offers the next value for it in the next pass.
    pub(super) fn reject_last(&mut self) {
        let (id, request) = self.last;
        let part = self.part_mut(id);
        let is_rejected = match request.map(|index| &mut part.requests[index]) {
            Some(request) if request.value + 1 < request.values => {
                request.value += 1;
                self.facts += 1;
                return;
            }
            Some(request) => &mut request.is_rejected,
            None => &mut part.is_rejected,
        };
        if !std::mem::replace(is_rejected, true) {
            self.facts += 1;
        }
    }

    /// Notes that a type panicked. No other value is tried, because each would likely panic too.
    pub(super) fn reject_last_after_panic(&mut self) {
        if let (id, Some(request)) = self.last {
            self.part_mut(id).requests[request].values = 0;
        }
        self.reject_last();
    }

    /// Returns a part, which is created if it is one by position.
    pub(super) fn part_mut(&mut self, (index, part): PartId) -> &mut Part {
        let parts = &mut self.types[index].parts;
        if parts.len() <= part {
            parts.resize_with(part + 1, Part::default);
        }
        &mut parts[part]
    }

    /// Counts a call of the deserializer.
    pub(super) fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Stop::NoValue) } else { Ok(()) }
    }

    /// Notes that a shape is requested for a part, and returns which of its `values` to offer.
    pub(super) fn request(&mut self, id: PartId, shape: Shape, values: usize) -> Result<usize, Stop> {
        self.step()?;
        let requests = &mut self.part_mut(id).requests;
        let index = requests.iter().position(|request| request.shape == shape).unwrap_or(requests.len());
        if index == requests.len() {
            requests.push(Request { shape, value: 0, values, is_rejected: false });
            self.facts += 1;
        }
        self.last = (id, Some(index));
        Ok(self.part_mut(id).requests[index].value)
    }

    /// Returns the value to offer for a scalar.
    pub(super) fn scalar<T: Copy>(
        &mut self,
        id: PartId,
        name: &'static str,
        values: &[T],
    ) -> Result<T, Stop> {
        Ok(values[self.request(id, Shape::Scalar(name), values.len())?])
    }

    /// Enters a type with parts and calls `read` with its index.
    ///
    /// `Reader` is the visitor or seed that reads the type; it identifies the type.
    pub(super) fn enter<Reader, T>(
        &mut self,
        id: PartId,
        declaration: Declaration,
        read: impl FnOnce(&mut Self, usize) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let next = self.types.len();
        let key = (typeid::of::<Reader>(), declaration.kind, declaration.name.unwrap_or_default());
        let index = *self.indices.entry(key).or_insert(next);
        if index == next {
            self.types.push(Type::new(declaration));
        }
        self.request(id, Shape::Type(index), 1)?;
        if self.depth == MAX_DEPTH {
            self.reject_last();
            return Err(Stop::NoValue);
        }
        let recursion = usize::from(self.types[index].nesting > 0);
        self.depth += 1;
        self.recursion += recursion;
        self.types[index].visits += 1;
        self.types[index].nesting += 1;
        let result = read(self, index);
        self.types[index].nesting -= 1;
        self.recursion -= recursion;
        self.depth -= 1;
        result
    }

    /// Returns `true` if a type is to be explored; else its smallest value is offered, so that recursion ends.
    fn is_explored_here(&self, index: usize) -> bool {
        self.recursion == 0 && self.types[index].visits <= MAX_VISITS
    }

    /// Returns how many elements to offer to an option, a list or a map: none or one.
    pub(super) fn element_count(&self, index: usize) -> usize {
        let is_possible = self.types[index].parts.iter().all(|part| self.part_min_depth(part).is_some());
        usize::from(self.is_explored_here(index) && (is_possible || self.is_unexplored(index)))
    }

    /// Returns which variant to offer; `None` if no value can be made up.
    pub(super) fn choose_variant(&self, index: usize) -> Option<usize> {
        let parts = &self.types[index].parts;
        let all = || 0..parts.len();
        let is_unexplored = |variant: &usize| self.is_part_unexplored(&parts[*variant]);
        let min_depth = |variant: &usize| self.part_min_depth(&parts[*variant]);
        if !self.is_explored_here(index) {
            return all().filter(|variant| min_depth(variant).is_some()).min_by_key(min_depth);
        }
        // First unexplored variants that can be completed, then those that cannot. If nothing is unexplored, another
        // variant in each pass: parts behind the enum may depend on it.
        let choices = [
            all()
                .filter(|variant| is_unexplored(variant) && min_depth(variant).is_some())
                .collect::<Vec<_>>(),
            all().filter(is_unexplored).collect(),
            all().filter(|variant| min_depth(variant).is_some()).collect(),
        ];
        let choice = choices.into_iter().find(|choice| !choice.is_empty())?;
        Some(choice[self.idle_passes % choice.len()])
    }

    /// Returns the fields of a struct in the order in which to offer them.
    pub(super) fn field_order(&self, index: usize) -> Vec<usize> {
        let parts = &self.types[index].parts;
        let is_possible = |field: &usize| self.part_min_depth(&parts[*field]).is_some();
        let is_unexplored = |field: &usize| self.is_part_unexplored(&parts[*field]);
        // A rejected field ends the pass, so it comes last.
        let last = (0..parts.len()).filter(|field| !is_possible(field) && is_unexplored(field));
        (0..parts.len()).filter(is_possible).chain(last).collect()
    }
}
