//! Commands to bytes.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::lines::CRLF;

/// A key as the server knows it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::memcached) struct Name<'a> {
    pub(in crate::store::memcached) prefix: &'a str,
    pub(in crate::store::memcached) key: &'a str,
    pub(in crate::store::memcached) suffix: &'static str,
}

/// Commands that are sent in one piece, with what must be answered to each.
///
/// All meta commands carry the number of the script (`O`), which the server repeats: should a reply ever be lost on the way, as
/// proxies may lose it, the next one is not taken for it.
#[derive(Debug)]
pub(in crate::store::memcached) struct Script {
    pub(in crate::store::memcached) number: u32,
    pub(in crate::store::memcached) bytes: Vec<u8>,
    pub(in crate::store::memcached) verbs: Vec<Operation>,
}

impl Script {
    pub(in crate::store::memcached) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self::numbered(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn numbered(number: u32) -> Self {
        Self { number, bytes: Vec::new(), verbs: Vec::new() }
    }

    /// The values of several keys by one command, the classic `get`: the meta protocol has none for that. It carries
    /// no number, but each value comes with its key. Reply: [`Reply::Values`].
    pub(in crate::store::memcached) fn read<'a>(mut self, names: impl IntoIterator<Item = Name<'a>>) -> Self {
        self.bytes.extend_from_slice(b"get");
        let start = self.bytes.len();
        for name in names {
            self.write(" ", name);
        }
        self.verbs.push(Operation::Values(self.bytes[start..].into()));
        self.bytes.extend_from_slice(CRLF);
        self
    }

    /// The value and its version. Replies: [`Reply::Item`], [`Reply::Miss`].
    pub(in crate::store::memcached) fn read_with_version(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Value, "mg ", name);
        self.end(" v c")
    }

    /// The value and its version; if there is none, an empty one for so many seconds, which is a `won` item.
    /// Reply: [`Reply::Item`].
    pub(in crate::store::memcached) fn read_or_reserve(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Operation::Value, "mg ", name);
        self.end(format_args!(" v c N{seconds}"))
    }

    /// The version. Replies: [`Reply::Done`], [`Reply::Miss`].
    pub(in crate::store::memcached) fn read_version(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Version, "mg ", name);
        self.end(" c")
    }

    /// Gives what is there so many seconds from now, and answers as [`Script::read_version`]. The version stays.
    pub(in crate::store::memcached) fn touch(mut self, name: Name<'_>, seconds: i32) -> Self {
        self.begin(Operation::Version, "mg ", name);
        self.end(format_args!(" c T{seconds}"))
    }

    /// Stores a value. Replies: [`Reply::Done`] with the new version, [`Reply::Exists`], [`Reply::Absent`],
    /// [`Reply::NotStored`].
    pub(in crate::store::memcached) fn store(
        mut self,
        name: Name<'_>,
        value: &[u8],
        seconds: i32,
        when: When,
    ) -> Self {
        self.bytes.reserve(name.len() + value.len() + 64);
        self.begin(Operation::Store, "ms ", name);
        let size = value.len();
        let mut script = match when {
            When::Always => self.end(format_args!(" {size} T{seconds} c")),
            When::Vacant => self.end(format_args!(" {size} T{seconds} c ME")),
            When::Version(version) => self.end(format_args!(" {size} T{seconds} c C{version}")),
        };
        script.bytes.extend_from_slice(value);
        script.bytes.extend_from_slice(CRLF);
        script
    }

    /// Gives an item of this version a new one, and leaves its value and its ttl alone: an append of nothing.
    /// Replies as [`Script::store`].
    pub(in crate::store::memcached) fn renew_version(mut self, name: Name<'_>, version: u64) -> Self {
        self.begin(Operation::Store, "ms ", name);
        let mut script = self.end(format_args!(" 0 MA c C{version}"));
        script.bytes.extend_from_slice(CRLF);
        script
    }

    /// Deletes an item, whatever its version. Replies: [`Reply::Done`], [`Reply::Absent`].
    pub(in crate::store::memcached) fn delete(mut self, name: Name<'_>) -> Self {
        self.begin(Operation::Delete, "md ", name);
        self.end("")
    }

    /// Deletes an item of this version. Replies: [`Reply::Done`], [`Reply::Absent`], [`Reply::Exists`].
    pub(in crate::store::memcached) fn delete_version(mut self, name: Name<'_>, version: u64) -> Self {
        self.begin(Operation::Delete, "md ", name);
        self.end(format_args!(" C{version}"))
    }

    fn end(mut self, flags: impl fmt::Display) -> Self {
        // Writing into a `Vec` does not fail.
        let _ = write!(self.bytes, "{flags} O{}\r\n", self.number);
        self
    }

    fn begin(&mut self, verb: Operation, command: &str, name: Name<'_>) {
        self.verbs.push(verb);
        self.write(command, name);
    }

    fn write(&mut self, before: &str, name: Name<'_>) {
        for part in [before, name.prefix, name.key, name.suffix] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }
}

impl Name<'_> {
    const fn len(&self) -> usize {
        self.prefix.len() + self.key.len() + self.suffix.len()
    }
}

/// On which condition a value is stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::memcached) enum When {
    Always,
    Vacant,
    Version(u64),
}

/// What a command may be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::memcached) enum Operation {
    /// The values of these keys, each after a space.
    Values(Box<[u8]>),
    Value,
    Version,
    Store,
    Delete,
}

/// Seconds that last at least that long, as the server takes them.
///
/// Its clock ticks once in a second, and what is due in `n` ticks is gone after `n - 1` to `n` seconds: one more
/// keeps a promise of `n`, and is at most two seconds too late. What exceeds 30 days would be taken for a date,
/// and so becomes one. What is past the last date that the server knows is cut to 30 days: a cache may always
/// forget earlier.
pub(in crate::store::memcached) fn seconds(duration: Duration, unix_time: Duration) -> i32 {
    const MONTH: u64 = 60 * 60 * 24 * 30;
    const MONTH_I32: i32 = 60 * 60 * 24 * 30;

    let whole = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    let ticks = whole.max(1).saturating_add(1);
    let sent = if ticks <= MONTH { ticks } else { ticks.saturating_add(unix_time.as_secs()) };
    i32::try_from(sent).unwrap_or(MONTH_I32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name<'static> = Name { prefix: "p:", key: "k", suffix: ".l" };

    #[test]
    fn commands_are_as_documented() {
        let script = Script::numbered(8)
            .read([NAME, Name { suffix: "", ..NAME }])
            .read_with_version(NAME)
            .read_or_reserve(NAME, 9)
            .read_version(NAME)
            .touch(NAME, 9)
            .store(NAME, b"hi", 0, When::Always)
            .store(NAME, b"hi", 1, When::Vacant)
            .store(NAME, b"\r\n", 2, When::Version(3))
            .renew_version(NAME, 3)
            .delete(NAME)
            .delete_version(NAME, 3);
        assert_eq!(
            String::from_utf8(script.bytes).unwrap(),
            "get p:k.l p:k\r\nmg p:k.l v c O8\r\nmg p:k.l v c N9 O8\r\nmg p:k.l c O8\r\nmg p:k.l c T9 O8\r\n\
             ms p:k.l 2 T0 c O8\r\nhi\r\nms p:k.l 2 T1 c ME O8\r\nhi\r\nms p:k.l 2 T2 c C3 O8\r\n\r\n\r\n\
             ms p:k.l 0 MA c C3 O8\r\n\r\nmd p:k.l O8\r\nmd p:k.l C3 O8\r\n"
        );
        assert_eq!(script.verbs.len(), 11);
    }

    #[test]
    fn a_ttl_is_never_shorter_than_asked_and_never_a_date_by_mistake() {
        let now = Duration::from_secs(1_800_000_000);
        let month = 60 * 60 * 24 * 30;
        for (asked, sent) in [
            (Duration::ZERO, 2),
            (Duration::from_nanos(1), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1001), 3),
            (Duration::from_secs(month - 1), 2_592_000),
            (Duration::from_secs(month), 1_802_592_001),
            (Duration::from_secs(60 * month), 1_955_520_001),
            (Duration::MAX, 2_592_000),
        ] {
            assert_eq!(seconds(asked, now), sent, "{asked:?}");
        }
    }
}
