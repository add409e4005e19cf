//! The replies that a connection has yet to receive.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::MAX_REPLY_TIMEOUT;
use super::connection::{BatchReply, Outcome, Request, Settings};
use super::protocol::{self, Command, Epoch, Parsed, Reply};
use crate::{Error, ErrorKind, Result};

/// The received bytes, and the batches without a complete reply, oldest first.
pub(super) struct PendingReplies {
    epoch: Epoch,
    max_value_bytes: usize,
    pub(super) buffer: BytesMut,
    /// The size of the next reply in bytes, as far as it is known.
    needed_bytes: usize,
    /// What is left of a value that is too large: its position in the buffer, and its bytes.
    discard: (usize, usize),
    /// When bytes of such a value were received last, or the reply to a batch with large values.
    transferred_at: Option<Instant>,
    pub(super) pending: VecDeque<PendingBatch>,
    /// `true` as soon as one batch has a complete reply.
    pub(super) has_replied: bool,
    /// The time since which every reply has come after its caller was dropped.
    unwanted_since: Option<Instant>,
    reply_timeout: Duration,
}

impl PendingReplies {
    pub(super) fn new(epoch: Epoch, settings: &Settings) -> Self {
        Self {
            epoch,
            max_value_bytes: settings.max_value_bytes,
            buffer: BytesMut::with_capacity(BUFFER_BYTES),
            needed_bytes: 0,
            discard: (0, 0),
            transferred_at: None,
            pending: VecDeque::new(),
            has_replied: false,
            unwanted_since: None,
            reply_timeout: settings.reply_timeout,
        }
    }

    /// Appends a request to the output, unless its caller was dropped or its epoch is not that of the server.
    pub(super) fn enqueue(&mut self, request: Request, output: &mut BytesMut, now: Instant) {
        let Request { batch, epoch, transfer_time, reply } = request;
        if reply.is_closed() {
            return;
        }
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            let _ = reply.send(Ok(Outcome::OtherEpoch(batch)));
            return;
        }
        output.extend_from_slice(&batch.bytes);
        let replies = Vec::with_capacity(batch.commands.len());
        self.pending.push_back(PendingBatch {
            number: batch.number,
            commands: batch.commands,
            replies,
            reply,
            since: now,
            transfer_time,
        });
    }

    /// Reserves at least what the next reply needs, so that a large value is read into one allocation of its
    /// size.
    pub(super) fn reserve(&mut self) {
        let spare = self.buffer.capacity() - self.buffer.len();
        let wanted = self.needed_bytes.saturating_sub(self.buffer.len()).max(BUFFER_BYTES / 4);
        if spare < wanted {
            self.buffer.reserve(wanted.max(BUFFER_BYTES));
        }
    }

    /// Parses the complete replies in the buffer and sends them to their callers.
    ///
    /// An error means that the connection must be closed.
    pub(super) fn deliver(&mut self) -> Result<()> {
        if !self.discard_received() {
            return Ok(());
        }
        if self.buffer.len() < self.needed_bytes {
            return Ok(());
        }
        self.needed_bytes = 0;
        while let Some(pending) = self.pending.front_mut() {
            if let Some(command) = pending.commands.get(pending.replies.len()) {
                match protocol::parse(&mut self.buffer, command, pending.number, self.max_value_bytes)? {
                    Parsed::Complete(reply) => pending.replies.push(reply),
                    Parsed::Need(bytes) => {
                        self.needed_bytes = bytes;
                        return Ok(());
                    }
                    Parsed::Discard { at, bytes, reply } => {
                        pending.replies.extend(reply);
                        self.discard = (at, bytes);
                        if !self.discard_received() {
                            return Ok(());
                        }
                    }
                }
                continue;
            }
            self.has_replied = true;
            if let Some(PendingBatch { replies, reply, transfer_time, .. }) = self.pending.pop_front() {
                if !transfer_time.is_zero() {
                    self.transferred_at = Some(Instant::now());
                }
                let reply_of_batch = BatchReply { epoch: self.epoch, replies };
                let is_wanted = reply.send(Ok(Outcome::Replied(reply_of_batch))).is_ok();
                self.check_wanted(is_wanted, transfer_time)?;
            }
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Protocol, "memcached sent more than it was asked for"))
    }

    /// Discards what was received of a value that is too large, and returns `true` if nothing is left of it.
    fn discard_received(&mut self) -> bool {
        let (at, bytes) = self.discard;
        if bytes > 0 {
            self.discard.1 -= protocol::remove(&mut self.buffer, at, bytes);
            self.transferred_at = Some(Instant::now());
        }
        self.discard.1 == 0
    }

    /// Returns when the reply to the oldest batch is due; `None` if none is pending. A batch behind a large value waits for
    /// the network before it waits for the server.
    pub(super) fn due(&self) -> Option<Instant> {
        let oldest = self.pending.front()?;
        let since = oldest.since.max(self.transferred_at.unwrap_or(oldest.since));
        Some(since + self.timeout(oldest.transfer_time))
    }

    /// Returns how long the reply to a batch may take.
    fn timeout(&self, transfer_time: Duration) -> Duration {
        self.reply_timeout.saturating_add(transfer_time).min(MAX_REPLY_TIMEOUT)
    }

    /// Returns an error if all replies have been too late for longer than the timeout of this one.
    ///
    /// If a proxy has lost a reply, every later one seems to be the reply to the request before it, and comes
    /// one request late.
    fn check_wanted(&mut self, is_wanted: bool, transfer_time: Duration) -> Result<()> {
        if is_wanted {
            self.unwanted_since = None;
            return Ok(());
        }
        let since = *self.unwanted_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.timeout(transfer_time) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, "memcached replies later than the deadline"))
    }
}

/// A batch that was written, or will be next.
pub(super) struct PendingBatch {
    number: u32,
    commands: Vec<Command>,
    replies: Vec<Reply>,
    pub(super) reply: oneshot::Sender<Result<Outcome>>,
    since: Instant,
    transfer_time: Duration,
}

/// The initial size of a buffer, in bytes.
pub(super) const BUFFER_BYTES: usize = 16 * 1024;
