//! What happened to the keys of a run, and whether "invalidation is final" holds of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// One thing that happened, from before its first step until after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) process: u64,
    pub(super) function: u64,
    pub(super) key: u64,
    pub(super) verb: Verb,
    pub(super) begin: u64,
    /// [`NEVER`] if nobody knows when it took effect: it was dropped half way, or failed.
    pub(super) end: u64,
    /// Of a read: the version of what was returned. Of a change: the version that the origin had when it began.
    pub(super) version: u64,
    /// Which computation or `put` made the value.
    pub(super) maker: u64,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Call,
    Refresh,
    Peek,
    /// A run of the function itself, for a call.
    Compute,
    /// The same for a refresh.
    Recompute,
    Invalidate,
    /// Of a function that keeps nothing past its lifetime.
    Expire,
    /// Of one of the tags that the key has.
    InvalidateTag,
    Put,
    Clear,
}

/// What was computed or returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    Error,
}

/// Nanoseconds of a clock that is the same in all processes of the machine.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

pub(super) const NEVER: u64 = u64::MAX;

/// A read that began after a change had ended and returned what was made before the change began.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) change: Event,
    pub(super) read: Event,
    /// What made the value, if that was seen to its end.
    made: Option<Event>,
    /// All that happened to the key from the making of the value to the read.
    context: Vec<Event>,
}

/// Every violation in a history, one a read.
///
/// A value that was computed has the version of the origin when it was computed; so it was made before a change if
/// its version is less than the one that the origin had when the change began. A value that was `put` is as good
/// as new until the `put` has ended: it may take effect at any time until then, and after other changes.
pub(super) fn check(history: &[Event]) -> Vec<Violation> {
    let mut keys: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    for event in history {
        keys.entry((event.function, event.key)).or_default().push(*event);
    }
    keys.values().flat_map(|events| check_key(events)).collect()
}

fn check_key(events: &[Event]) -> Vec<Violation> {
    let mut changes: Vec<Event> =
        events.iter().copied().filter(|event| event.verb.is_change() && event.end != NEVER).collect();
    changes.sort_by_key(|change| change.end);
    // The greatest version among a change and all that ended before it.
    let floors: Vec<u64> = changes
        .iter()
        .scan(0, |floor, change| {
            *floor = change.version.max(*floor);
            Some(*floor)
        })
        .collect();
    let puts: HashMap<u64, &Event> =
        events.iter().filter(|event| event.verb == Verb::Put).map(|put| (put.maker, put)).collect();

    let broken_by = |read: &Event| {
        let ended = changes.partition_point(|change| change.end < read.begin);
        if ended == 0 || floors[ended - 1] <= read.version {
            return None;
        }
        let put = puts.get(&read.maker);
        let is_before =
            |change: &&Event| read.version < change.version && put.is_none_or(|put| put.end < change.begin);
        changes[..ended].iter().find(is_before).copied()
    };
    let mut reads: Vec<&Event> = events.iter().filter(|event| event.verb.is_read()).collect();
    reads.sort_by_key(|read| read.begin);
    reads
        .into_iter()
        .filter_map(|read| {
            let change = broken_by(read)?;
            let made =
                events.iter().find(|event| event.verb.is_maker() && event.maker == read.maker).copied();
            let start = made.map_or(change.begin, |made| made.begin.min(change.begin));
            Some(Violation { change, read: *read, made, context: context(events, start, read.end) })
        })
        .collect()
}

fn context(events: &[Event], start: u64, until: u64) -> Vec<Event> {
    let concerns = |event: &Event| {
        // What never ended is shown only if it began meanwhile.
        let end = if event.end == NEVER { event.begin } else { event.end };
        event.begin <= until && end >= start
    };
    let mut context: Vec<Event> = events.iter().copied().filter(concerns).collect();
    context.sort_by_key(|event| event.begin);
    context
}

impl Verb {
    pub(super) const ALL: [Self; 10] = [
        Self::Call,
        Self::Refresh,
        Self::Peek,
        Self::Compute,
        Self::Recompute,
        Self::Invalidate,
        Self::Expire,
        Self::InvalidateTag,
        Self::Put,
        Self::Clear,
    ];

    pub(super) fn is_computation(self) -> bool {
        matches!(self, Self::Compute | Self::Recompute)
    }

    fn is_read(self) -> bool {
        matches!(self, Self::Call | Self::Refresh | Self::Peek)
    }

    fn is_change(self) -> bool {
        matches!(self, Self::Invalidate | Self::Expire | Self::InvalidateTag | Self::Put | Self::Clear)
    }

    fn is_maker(self) -> bool {
        self.is_computation() || self == Self::Put
    }
}

impl Event {
    /// The event as a line for another process.
    pub(super) fn to_line(self) -> String {
        let Self { process, function, key, verb, begin, end, version, maker, kind } = self;
        let (verb, kind) = (verb as u64, kind as u64);
        format!("{process} {function} {key} {verb} {begin} {end} {version} {maker} {kind}\n")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [process, function, key, verb, begin, end, version, maker, kind] = numbers[..] else {
            return None;
        };
        let verb = *Verb::ALL.get(usize::try_from(verb).ok()?)?;
        let kind = *[Kind::Value, Kind::Error].get(usize::try_from(kind).ok()?)?;
        Some(Self { process, function, key, verb, begin, end, version, maker, kind })
    }
}

impl Violation {
    /// What it has in common with others of the same cause.
    pub(super) fn sort(&self) -> String {
        let Self { change, read, made, .. } = self;
        let whose = if change.process == read.process { "its own" } else { "another" };
        let from = match made {
            Some(made) if made.process == read.process => format!("its own process's {:?}", made.verb),
            Some(made) => format!("another process's {:?}", made.verb),
            None => "a computation that was dropped".into(),
        };
        format!("{:?} from {from} after {:?} in {whose} process", read.kind, change.verb)
    }

    /// The less happened meanwhile, the easier it is to understand.
    pub(super) fn length(&self) -> usize {
        self.context.len()
    }
}

/// Times are microseconds after the first event that is shown.
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.context.first().map_or(0, |event| event.begin);
        let micros = |time: u64| match time {
            NEVER => "      ?".into(),
            time => format!("{:7}", time.saturating_sub(start) / 1_000),
        };
        writeln!(f, "function {} key {}:", self.read.function, self.read.key)?;
        for event in &self.context {
            let mark = if *event == self.change || *event == self.read { '*' } else { ' ' };
            let Event { process, verb, begin, end, version, maker, kind, .. } = *event;
            writeln!(
                f,
                "{mark} {}-{} p{process} {verb:?} {kind:?} version {version} made by {maker:x}",
                micros(begin),
                micros(end)
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verb: Verb, begin: u64, end: u64, version: u64, maker: u64) -> Event {
        Event { process: 0, function: 0, key: 0, verb, begin, end, version, maker, kind: Kind::Value }
    }

    fn violations(history: &[Event]) -> usize {
        let violations = check(history);
        assert!(violations.iter().all(|violation| violation.to_string().contains('*')));
        violations.len()
    }

    #[test]
    fn a_value_from_before_a_change_that_has_ended_is_found() {
        for change in Verb::ALL.into_iter().filter(|verb| verb.is_change()) {
            for read in [Verb::Call, Verb::Refresh, Verb::Peek] {
                let computed = event(Verb::Compute, 0, 10, 1, 1);
                let history = [computed, event(change, 20, 30, 2, 2), event(read, 31, 40, 1, 1)];
                assert_eq!(violations(&history), 1);
            }
        }
    }

    #[test]
    fn the_order_of_recording_does_not_matter() {
        let mut history = [
            event(Verb::Call, 31, 40, 1, 1),
            event(Verb::Invalidate, 20, 30, 2, 2),
            event(Verb::Call, 41, 50, 2, 3),
            event(Verb::Invalidate, 5, 6, 1, 0),
            event(Verb::Compute, 0, 35, 1, 1),
        ];
        assert_eq!(violations(&history), 1);
        history.reverse();
        assert_eq!(violations(&history), 1);
    }

    #[test]
    fn a_read_that_overlaps_the_change_may_return_either() {
        let invalidated = event(Verb::Invalidate, 20, 30, 2, 2);
        for begin in [0, 20, 29, 30] {
            assert_eq!(violations(&[invalidated, event(Verb::Call, begin, 40, 1, 1)]), 0);
            assert_eq!(violations(&[invalidated, event(Verb::Call, begin, 40, 2, 1)]), 0);
        }
    }

    #[test]
    fn a_newer_value_is_always_right() {
        assert_eq!(violations(&[event(Verb::Invalidate, 20, 30, 2, 2), event(Verb::Call, 31, 40, 7, 1)]), 0);
    }

    #[test]
    fn a_change_that_was_dropped_or_failed_promises_nothing() {
        let history = [event(Verb::Invalidate, 20, NEVER, 2, 2), event(Verb::Call, 50, 60, 1, 1)];
        assert_eq!(violations(&history), 0);
    }

    #[test]
    fn keys_and_functions_do_not_concern_each_other() {
        let invalidated = event(Verb::Invalidate, 20, 30, 2, 2);
        let read = event(Verb::Call, 31, 40, 1, 1);
        assert_eq!(violations(&[invalidated, Event { key: 1, ..read }]), 0);
        assert_eq!(violations(&[invalidated, Event { function: 1, ..read }]), 0);
        assert_eq!(violations(&[invalidated, Event { process: 1, ..read }]), 1);
    }

    #[test]
    fn a_put_that_overlaps_a_change_may_come_after_it() {
        let put = |end| event(Verb::Put, 10, end, 1, 9);
        let read = |maker| event(Verb::Call, 31, 40, 1, maker);
        let invalidated = event(Verb::Invalidate, 20, 30, 2, 2);
        assert_eq!(violations(&[put(19), invalidated, read(9)]), 1);
        assert_eq!(violations(&[put(25), invalidated, read(9)]), 0);
        assert_eq!(violations(&[put(NEVER), invalidated, read(9)]), 0);
        // What was computed at the same version is not excused by it.
        assert_eq!(violations(&[put(25), invalidated, read(1)]), 1);
    }

    #[test]
    fn a_later_change_counts_also_when_the_put_overlaps_an_earlier_one() {
        let history = [
            event(Verb::Put, 10, 25, 1, 9),
            event(Verb::Invalidate, 20, 30, 2, 2),
            event(Verb::Invalidate, 32, 40, 2, 3),
            event(Verb::Call, 41, 50, 1, 9),
        ];
        assert_eq!(violations(&history), 1);
    }

    #[test]
    fn events_survive_the_way_to_another_process() {
        for verb in Verb::ALL {
            for kind in [Kind::Value, Kind::Error] {
                let event = Event { kind, ..event(verb, 1, NEVER, 3, 4) };
                assert_eq!(Event::from_line(event.to_line().trim_end()), Some(event));
            }
        }
        assert_eq!(Event::from_line("1 2"), None);
        assert_eq!(Event::from_line(&format!("1 2 3 {} 4 5 6 7 0", Verb::ALL.len())), None);
    }

    #[test]
    fn the_clock_is_that_of_all_processes() {
        let (before, after) = (now(), now());
        assert!(0 < before && before <= after);
    }
}
