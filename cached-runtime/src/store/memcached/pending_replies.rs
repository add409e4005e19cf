//! The replies that a connection still has to bring.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connection::{Answer, Request, Settings};
use super::protocol::{self, Epoch, Operation, Parsed, Reply};
use crate::{Error, ErrorKind, Result};

/// Replies on their way back, and who waits for them, oldest first.
pub(super) struct Replies {
    epoch: Epoch,
    max_value_bytes: usize,
    pub(super) buffer: BytesMut,
    /// How many bytes the next reply takes, as far as is known.
    need: usize,
    pub(super) pending: VecDeque<Pending>,
    pub(super) served: bool,
    /// Since when every reply has come when nobody waited for it any more.
    unwanted_since: Option<Instant>,
    stall: Duration,
}

impl Replies {
    pub(super) fn new(epoch: Epoch, settings: &Settings) -> Self {
        Self {
            epoch,
            max_value_bytes: settings.max_value_bytes,
            buffer: BytesMut::with_capacity(BUFFER),
            need: 0,
            pending: VecDeque::new(),
            served: false,
            unwanted_since: None,
            stall: settings.stall,
        }
    }

    /// Appends a request to what will be written, unless nobody waits for it or its epoch has passed.
    pub(super) fn expect(&mut self, request: Request, output: &mut BytesMut, now: Instant) {
        let Request { script, epoch, answer } = request;
        if answer.is_closed() {
            return;
        }
        if epoch.is_some_and(|epoch| epoch != self.epoch) {
            let _ = answer.send(Ok(None));
            return;
        }
        output.extend_from_slice(&script.bytes);
        let replies = Vec::with_capacity(script.verbs.len());
        self.pending.push_back(Pending {
            number: script.number,
            verbs: script.verbs,
            replies,
            answer,
            since: now,
        });
    }

    /// At least what the next reply needs: a large value is then read into one piece of its size.
    pub(super) fn make_room(&mut self) {
        let spare = self.buffer.capacity() - self.buffer.len();
        let wanted = self.need.saturating_sub(self.buffer.len()).max(BUFFER / 4);
        if spare < wanted {
            self.buffer.reserve(wanted.max(BUFFER));
        }
    }

    /// Gives every whole reply to whoever waits for it.
    pub(super) fn hand_out(&mut self) -> Result<()> {
        if self.buffer.len() < self.need {
            return Ok(());
        }
        self.need = 0;
        while let Some(pending) = self.pending.front_mut() {
            while let Some(verb) = pending.verbs.get(pending.replies.len()) {
                match protocol::parse(&mut self.buffer, verb, pending.number, self.max_value_bytes)? {
                    Parsed::Whole(reply) => pending.replies.push(reply),
                    Parsed::Need(bytes) => {
                        self.need = bytes;
                        return Ok(());
                    }
                }
            }
            self.served = true;
            if let Some(Pending { replies, answer, .. }) = self.pending.pop_front() {
                let wanted = answer.send(Ok(Some(Answer { epoch: self.epoch, replies }))).is_ok();
                self.note(wanted)?;
            }
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Protocol, "memcached said more than it was asked for"))
    }

    /// Gives the connection up if its replies come too late for too long: should one have been lost on the way, as proxies
    /// may lose it, every other is taken for the one before it.
    fn note(&mut self, wanted: bool) -> Result<()> {
        if wanted {
            self.unwanted_since = None;
            return Ok(());
        }
        let since = *self.unwanted_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.stall {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Timeout, "memcached answers when nobody waits any more"))
    }
}

/// A request that was written, or is about to be.
pub(super) struct Pending {
    number: u32,
    verbs: Vec<Operation>,
    replies: Vec<Reply>,
    pub(super) answer: oneshot::Sender<Result<Option<Answer>>>,
    pub(super) since: Instant,
}

/// What a connection uses when little happens.
pub(super) const BUFFER: usize = 16 * 1024;
