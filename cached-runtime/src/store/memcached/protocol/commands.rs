//! The commands.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::lines::CRLF;
use super::replies::ItemKind;
#[cfg(doc)]
use super::replies::Reply;

/// A key on the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServerKey<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) key: &'a [u8],
    pub(crate) suffix: &'static str,
}

/// Commands that are sent together, with the kind of reply that each expects.
///
/// All meta commands contain the number of the batch (`O`), which the server repeats. If a proxy loses a
/// reply, the next one is therefore not taken for it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) number: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) commands: Vec<Command>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self::numbered(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn numbered(number: u32) -> Self {
        Self { number, bytes: Vec::new(), commands: Vec::new() }
    }

    /// Reads several keys by the classic `get`, because the meta protocol has no command for that. It
    /// contains no number, but each value is returned with its key. Reply: [`Reply::Values`].
    pub(crate) fn get<'a>(mut self, keys: impl Iterator<Item = ServerKey<'a>> + Clone) -> Self {
        let length: usize = keys.clone().map(|key| 1 + key.len()).sum();
        self.bytes.reserve(b"get".len() + length + CRLF.len());
        self.bytes.extend_from_slice(b"get");
        let start = self.bytes.len();
        for key in keys {
            self.write(" ", key);
        }
        self.commands.push(Command::Values(self.bytes[start..].into()));
        self.bytes.extend_from_slice(CRLF);
        self
    }

    /// Reads an item and its version. Replies: [`Reply::Item`], [`Reply::Miss`].
    pub(crate) fn get_with_version(mut self, key: ServerKey<'_>) -> Self {
        self.begin(Command::Value, "mg ", key);
        self.end(" v c f")
    }

    /// Reads what an item is, without its value. Replies: [`Reply::Header`], [`Reply::Miss`].
    pub(crate) fn get_header(mut self, key: ServerKey<'_>) -> Self {
        self.begin(Command::Header, "mg ", key);
        self.end(" s c f")
    }

    /// Stores an item until `exptime`; 0 is never. Replies: [`Reply::Done`] with the new version,
    /// [`Reply::Exists`], [`Reply::NotFound`], [`Reply::NotStored`].
    pub(crate) fn store(
        mut self,
        key: ServerKey<'_>,
        value: &[u8],
        exptime: i32,
        condition: StoreCondition,
        kind: ItemKind,
    ) -> Self {
        self.bytes.reserve(key.len() + value.len() + 64);
        self.begin(Command::Store, "ms ", key);
        let (size, flags) = (value.len(), kind.client_flags());
        let mut batch = match condition {
            StoreCondition::Always => self.end(format_args!(" {size} T{exptime} F{flags} c")),
            StoreCondition::IfAbsent => self.end(format_args!(" {size} T{exptime} F{flags} c ME")),
            StoreCondition::IfVersion(version) => {
                self.end(format_args!(" {size} T{exptime} F{flags} c C{version}"))
            }
        };
        batch.bytes.extend_from_slice(value);
        batch.bytes.extend_from_slice(CRLF);
        batch
    }

    /// Deletes an item. Replies: [`Reply::Done`], [`Reply::NotFound`].
    pub(crate) fn delete(mut self, key: ServerKey<'_>) -> Self {
        self.begin(Command::Delete, "md ", key);
        self.end("")
    }

    /// Deletes an item of this version. Replies: [`Reply::Done`], [`Reply::NotFound`], [`Reply::Exists`].
    pub(crate) fn delete_if_version(mut self, key: ServerKey<'_>, version: u64) -> Self {
        self.begin(Command::Delete, "md ", key);
        self.end(format_args!(" C{version}"))
    }

    /// Appends the flags, and ends the line.
    fn end(mut self, flags: impl fmt::Display) -> Self {
        // Writing into a `Vec` does not fail.
        let _ = write!(self.bytes, "{flags} O{}\r\n", self.number);
        self
    }

    /// Begins the line of a meta command.
    fn begin(&mut self, kind: Command, prefix: &str, key: ServerKey<'_>) {
        self.commands.push(kind);
        self.write(prefix, key);
    }

    fn write(&mut self, before: &str, key: ServerKey<'_>) {
        for part in [before.as_bytes(), key.prefix.as_bytes(), key.key, key.suffix.as_bytes()] {
            self.bytes.extend_from_slice(part);
        }
    }
}

impl ServerKey<'_> {
    const fn len(&self) -> usize {
        self.prefix.len() + self.key.len() + self.suffix.len()
    }
}

/// The condition for storing a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoreCondition {
    Always,
    IfAbsent,
    IfVersion(u64),
}

/// The kind of a command, which determines its possible replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A `get` of these keys, each after a space.
    Values(Box<[u8]>),
    Value,
    Header,
    Store,
    Delete,
}

/// Returns the expiration time of an item that must live at least for `duration`, in seconds from now or as a
/// Unix time.
///
/// The clock of the server ticks once a second, so an item with `n` seconds expires after `n - 1` to `n`
/// seconds. One second is added, so that it expires at most two seconds late. More than 30 days would be
/// taken for a Unix time, and are sent as one. A time past the last one that the server can represent is
/// replaced by 30 days, because a cache may always expire earlier.
pub(crate) fn exptime(duration: Duration, unix_time: Duration) -> i32 {
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

    const KEY: ServerKey<'static> = ServerKey { prefix: "p:", key: b"k", suffix: ".l" };

    #[test]
    fn commands_match_the_specification() {
        let batch = Batch::numbered(8)
            .get([KEY, ServerKey { suffix: "", ..KEY }].into_iter())
            .get_with_version(KEY)
            .get_header(KEY)
            .store(KEY, b"hi", 0, StoreCondition::Always, ItemKind::Value)
            .store(KEY, b"hi", 1, StoreCondition::IfAbsent, ItemKind::Reservation)
            .store(KEY, b"\r\n", 2, StoreCondition::IfVersion(3), ItemKind::Value)
            .delete(KEY)
            .delete_if_version(KEY, 3);
        assert_eq!(
            String::from_utf8(batch.bytes).unwrap(),
            "get p:k.l p:k\r\nmg p:k.l v c f O8\r\nmg p:k.l s c f O8\r\n\
             ms p:k.l 2 T0 F0 c O8\r\nhi\r\nms p:k.l 2 T1 F3401903361 c ME O8\r\nhi\r\n\
             ms p:k.l 2 T2 F0 c C3 O8\r\n\r\n\r\nmd p:k.l O8\r\nmd p:k.l C3 O8\r\n"
        );
        assert_eq!(batch.commands.len(), 8);
    }

    #[test]
    fn exptime_is_never_too_short_and_never_an_accidental_date() {
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
            assert_eq!(exptime(asked, now), sent, "{asked:?}");
        }
    }
}
