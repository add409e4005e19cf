//! What a type is read along, and what is given to it.

use std::any::TypeId;
use std::collections::HashMap;

use super::deserializer::Stop;
use super::types::{Asked, Head, Kind, Part, Place, ROOT, Shape, Type};

/// Calls of the deserializer, in all passes together. Most types need less than a hundred.
pub(super) const MAX_STEPS: usize = 100_000;
const MAX_PASSES: usize = 1_000;
/// Types in each other, on the way from the outermost. A value has at most 128 levels.
const MAX_DEPTH: usize = 64;
/// How often one type is looked into in one pass: lists of lists of lists would double the work at each level.
const MAX_VISITS: usize = 8;
/// Passes in a row that bring nothing new, each along other variants.
const MAX_IDLE: usize = 32;

/// What has been found out, and where the present pass is.
pub(super) struct Tracer {
    pub(super) human_readable: bool,
    pub(super) types: Vec<Type>,
    /// The types by what reads them: a type that contains itself, or is used twice, is one.
    known: HashMap<(TypeId, Kind, &'static str), usize>,
    /// Where something was given last, and as which of the shapes there, if it came to that. If somebody refuses a value,
    /// this is most likely the one.
    pub(super) last: (Place, Option<usize>),
    facts: usize,
    facts_before: usize,
    pub(super) steps: usize,
    passes: usize,
    /// Passes in a row that brought nothing new.
    idle: usize,
    depth: usize,
    /// How many of the types around the present place are inside of themselves.
    repeated: usize,
}

impl Tracer {
    pub(super) fn new(human_readable: bool) -> Self {
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
    pub(super) fn next_pass(&mut self) -> bool {
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

    pub(super) fn height(&self, index: usize) -> Option<usize> {
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
    pub(super) fn refused(&mut self) {
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
    pub(super) fn panicked(&mut self) {
        if let (place, Some(at)) = self.last {
            self.part(place).asked[at].values = 0;
        }
        self.refused();
    }

    /// The part at a place; parts by position are made when they are first asked for.
    pub(super) fn part(&mut self, (index, part): Place) -> &mut Part {
        let parts = &mut self.types[index].parts;
        if parts.len() <= part {
            parts.resize_with(part + 1, Part::default);
        }
        &mut parts[part]
    }

    pub(super) fn step(&mut self) -> Result<(), Stop> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Stop::Ours) } else { Ok(()) }
    }

    /// A value of this shape is asked for at this place, of which we have so many to offer. Returns which to give.
    pub(super) fn ask(&mut self, place: Place, shape: Shape, values: usize) -> Result<usize, Stop> {
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

    pub(super) fn scalar<T: Copy>(
        &mut self,
        place: Place,
        name: &'static str,
        values: &[T],
    ) -> Result<T, Stop> {
        Ok(values[self.ask(place, Shape::Scalar(name), values.len())?])
    }

    /// Enters a type with parts, and gives it to whoever reads it. `Reader` stands for the type.
    pub(super) fn enter<Reader, T>(
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
    pub(super) fn elements(&self, index: usize) -> usize {
        let possible = self.types[index].parts.iter().all(|part| self.part_height(part).is_some());
        usize::from(self.looks_into(index) && (possible || self.is_open(index)))
    }

    /// Which variant to give.
    pub(super) fn variant(&self, index: usize) -> Option<usize> {
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
    pub(super) fn fields(&self, index: usize) -> Vec<usize> {
        let parts = &self.types[index].parts;
        let possible = |at: &usize| self.part_height(&parts[*at]).is_some();
        let open = |at: &usize| self.part_is_open(&parts[*at]);
        // What is refused ends the pass, so it comes last.
        let last = (0..parts.len()).filter(|at| !possible(at) && open(at));
        (0..parts.len()).filter(possible).chain(last).collect()
    }
}
