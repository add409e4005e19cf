//! The history of a run, and the check that invalidation is final in it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// One operation, from before its first step until after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) process: u64,
    pub(super) function: u64,
    pub(super) key: u64,
    pub(super) operation: Operation,
    pub(super) begin: u64,
    /// [`NEVER`] if it is unknown when the operation took effect: it was dropped, or it failed.
    pub(super) end: u64,
    /// Of a read: the version of the result. Of a change: the version of the origin when the change began.
    pub(super) version: u64,
    /// The id of the computation or `put` that made the value.
    pub(super) maker: u64,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Call,
    Refresh,
    Peek,
    /// A run of the function, for a call.
    Compute,
    /// A run of the function, for a refresh.
    Recompute,
    Invalidate,
    /// Of a function without stale values.
    Expire,
    /// Of one of the tags of the key.
    InvalidateTag,
    /// Of one of the tags of the key, of a function without stale values.
    ExpireTag,
    Put,
    Clear,
}

/// The kind of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Value,
    Error,
}

/// Returns the time of the monotonic clock, which all processes of the machine share, in nanoseconds.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

pub(super) const NEVER: u64 = u64::MAX;

/// A read that began after a change had ended and returned a value made before the change began.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) change: Event,
    pub(super) read: Event,
    /// The computation or `put` that made the value, if it was recorded.
    made: Option<Event>,
    /// All events of the key from the making of the value to the read.
    context: Vec<Event>,
}

/// Returns the violations in a history, at most one per read.
///
/// A computed value has the version that the origin had during the computation. It was made before a change if its
/// version is less than that of the origin when the change began. A value that was `put` is also newer than the changes
/// that began before the `put` ended: the `put` may take effect at any time until then.
pub(super) fn check(history: &[Event]) -> Vec<Violation> {
    let mut keys: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    for event in history {
        keys.entry((event.function, event.key)).or_default().push(*event);
    }
    keys.values().flat_map(|events| check_key(events)).collect()
}

fn check_key(events: &[Event]) -> Vec<Violation> {
    let mut changes: Vec<Event> =
        events.iter().copied().filter(|event| event.operation.is_change() && event.end != NEVER).collect();
    changes.sort_by_key(|change| change.end);
    // The greatest version of a change and of all changes that ended before it.
    let floors: Vec<u64> = changes
        .iter()
        .scan(0, |floor, change| {
            *floor = change.version.max(*floor);
            Some(*floor)
        })
        .collect();
    let puts: HashMap<u64, &Event> =
        events.iter().filter(|event| event.operation == Operation::Put).map(|put| (put.maker, put)).collect();

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
    let mut reads: Vec<&Event> = events.iter().filter(|event| event.operation.is_read()).collect();
    reads.sort_by_key(|read| read.begin);
    reads
        .into_iter()
        .filter_map(|read| {
            let change = broken_by(read)?;
            let made =
                events.iter().find(|event| event.operation.is_maker() && event.maker == read.maker).copied();
            let start = made.map_or(change.begin, |made| made.begin.min(change.begin));
            Some(Violation { change, read: *read, made, context: context(events, start, read.end) })
        })
        .collect()
}

fn context(events: &[Event], start: u64, until: u64) -> Vec<Event> {
    let concerns = |event: &Event| {
        // An event that never ended is shown only if it began in the period.
        let end = if event.end == NEVER { event.begin } else { event.end };
        event.begin <= until && end >= start
    };
    let mut context: Vec<Event> = events.iter().copied().filter(concerns).collect();
    context.sort_by_key(|event| event.begin);
    context
}

impl Operation {
    pub(super) const ALL: [Self; 11] = [
        Self::Call,
        Self::Refresh,
        Self::Peek,
        Self::Compute,
        Self::Recompute,
        Self::Invalidate,
        Self::Expire,
        Self::InvalidateTag,
        Self::ExpireTag,
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
        match self {
            Self::Invalidate
            | Self::Expire
            | Self::InvalidateTag
            | Self::ExpireTag
            | Self::Put
            | Self::Clear => true,
            Self::Call | Self::Refresh | Self::Peek | Self::Compute | Self::Recompute => false,
        }
    }

    fn is_maker(self) -> bool {
        self.is_computation() || self == Self::Put
    }
}

impl Event {
    /// Returns the event as a line of text for another process.
    pub(super) fn to_line(self) -> String {
        let Self { process, function, key, operation, begin, end, version, maker, kind } = self;
        let (operation, kind) = (operation as u64, kind as u64);
        format!("{process} {function} {key} {operation} {begin} {end} {version} {maker} {kind}\n")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [process, function, key, operation, begin, end, version, maker, kind] = numbers[..] else {
            return None;
        };
        let operation = *Operation::ALL.get(usize::try_from(operation).ok()?)?;
        let kind = *[Kind::Value, Kind::Error].get(usize::try_from(kind).ok()?)?;
        Some(Self { process, function, key, operation, begin, end, version, maker, kind })
    }
}

impl Violation {
    /// Returns a description that violations of the same cause share.
    pub(super) fn sort(&self) -> String {
        let Self { change, read, made, .. } = self;
        let whose = if change.process == read.process { "its own" } else { "another" };
        let from = match made {
            Some(made) if made.process == read.process => format!("its own process's {:?}", made.operation),
            Some(made) => format!("another process's {:?}", made.operation),
            None => "a computation that was dropped".into(),
        };
        format!("{:?} from {from} after {:?} in {whose} process", read.kind, change.operation)
    }

    /// Returns the number of events that are shown. A short history is easier to understand.
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
            let Event { process, operation, begin, end, version, maker, kind, .. } = *event;
            writeln!(
                f,
                "{mark} {}-{} p{process} {operation:?} {kind:?} version {version} made by {maker:x}",
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

    fn event(operation: Operation, begin: u64, end: u64, version: u64, maker: u64) -> Event {
        Event { process: 0, function: 0, key: 0, operation, begin, end, version, maker, kind: Kind::Value }
    }

    fn violations(history: &[Event]) -> usize {
        let violations = check(history);
        assert!(violations.iter().all(|violation| violation.to_string().contains('*')));
        violations.len()
    }

    #[test]
    fn a_value_from_before_a_change_that_has_ended_is_found() {
        for change in Operation::ALL.into_iter().filter(|operation| operation.is_change()) {
            for read in [Operation::Call, Operation::Refresh, Operation::Peek] {
                let computed = event(Operation::Compute, 0, 10, 1, 1);
                let history = [computed, event(change, 20, 30, 2, 2), event(read, 31, 40, 1, 1)];
                assert_eq!(violations(&history), 1);
            }
        }
    }

    #[test]
    fn the_order_of_recording_does_not_matter() {
        let mut history = [
            event(Operation::Call, 31, 40, 1, 1),
            event(Operation::Invalidate, 20, 30, 2, 2),
            event(Operation::Call, 41, 50, 2, 3),
            event(Operation::Invalidate, 5, 6, 1, 0),
            event(Operation::Compute, 0, 35, 1, 1),
        ];
        assert_eq!(violations(&history), 1);
        history.reverse();
        assert_eq!(violations(&history), 1);
    }

    #[test]
    fn a_read_that_overlaps_the_change_may_return_either() {
        let invalidated = event(Operation::Invalidate, 20, 30, 2, 2);
        for begin in [0, 20, 29, 30] {
            assert_eq!(violations(&[invalidated, event(Operation::Call, begin, 40, 1, 1)]), 0);
            assert_eq!(violations(&[invalidated, event(Operation::Call, begin, 40, 2, 1)]), 0);
        }
    }

    #[test]
    fn a_newer_value_is_always_right() {
        assert_eq!(
            violations(&[event(Operation::Invalidate, 20, 30, 2, 2), event(Operation::Call, 31, 40, 7, 1)]),
            0
        );
    }

    #[test]
    fn a_change_that_was_dropped_or_failed_is_not_checked() {
        let history = [event(Operation::Invalidate, 20, NEVER, 2, 2), event(Operation::Call, 50, 60, 1, 1)];
        assert_eq!(violations(&history), 0);
    }

    #[test]
    fn keys_and_functions_are_independent() {
        let invalidated = event(Operation::Invalidate, 20, 30, 2, 2);
        let read = event(Operation::Call, 31, 40, 1, 1);
        assert_eq!(violations(&[invalidated, Event { key: 1, ..read }]), 0);
        assert_eq!(violations(&[invalidated, Event { function: 1, ..read }]), 0);
        assert_eq!(violations(&[invalidated, Event { process: 1, ..read }]), 1);
    }

    #[test]
    fn a_put_that_overlaps_a_change_may_come_after_it() {
        let put = |end| event(Operation::Put, 10, end, 1, 9);
        let read = |maker| event(Operation::Call, 31, 40, 1, maker);
        let invalidated = event(Operation::Invalidate, 20, 30, 2, 2);
        assert_eq!(violations(&[put(19), invalidated, read(9)]), 1);
        assert_eq!(violations(&[put(25), invalidated, read(9)]), 0);
        assert_eq!(violations(&[put(NEVER), invalidated, read(9)]), 0);
        // A value computed at the same version is still a violation.
        assert_eq!(violations(&[put(25), invalidated, read(1)]), 1);
    }

    #[test]
    fn a_later_change_counts_also_when_the_put_overlaps_an_earlier_one() {
        let history = [
            event(Operation::Put, 10, 25, 1, 9),
            event(Operation::Invalidate, 20, 30, 2, 2),
            event(Operation::Invalidate, 32, 40, 2, 3),
            event(Operation::Call, 41, 50, 1, 9),
        ];
        assert_eq!(violations(&history), 1);
    }

    #[test]
    fn events_survive_a_round_trip_as_text() {
        for operation in Operation::ALL {
            for kind in [Kind::Value, Kind::Error] {
                let event = Event { kind, ..event(operation, 1, NEVER, 3, 4) };
                assert_eq!(Event::from_line(event.to_line().trim_end()), Some(event));
            }
        }
        assert_eq!(Event::from_line("1 2"), None);
        assert_eq!(Event::from_line(&format!("1 2 3 {} 4 5 6 7 0", Operation::ALL.len())), None);
    }

    #[test]
    fn the_clock_is_monotonic() {
        let (before, after) = (now(), now());
        assert!(0 < before && before <= after);
    }
}
