//! The task that owns a connection of one runtime.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::backoff::{Backoff, MAX_DELAY};
use super::connection::{Request, Settings, Shared, connection_lost};
use super::handshake::{Stream, connect};
use super::pending_replies::{BUFFER_BYTES, PendingReplies};
use super::protocol::Epoch;
use crate::store::deadline::{self, MAX_EXTENSION};
use crate::{Error, ErrorKind};

/// A task that connects, serves requests, and reconnects when the connection is lost.
pub(super) struct ConnectionTask {
    settings: Arc<Settings>,
    queue: mpsc::Receiver<Request>,
    shared: Arc<Shared>,
    backoff: Backoff,
}

/// How a connection ended.
enum ConnectionEnd {
    /// The store was dropped.
    Unused,
    /// The connection failed. `has_replied` says whether it served a request before.
    Lost { error: Error, has_replied: bool },
}

impl ConnectionTask {
    pub(super) fn new(settings: Arc<Settings>, queue: mpsc::Receiver<Request>, shared: Arc<Shared>) -> Self {
        Self { settings, queue, shared, backoff: Backoff::default() }
    }

    pub(super) async fn run(mut self) {
        // While this is `Some`, requests are rejected with it. Without a reason to assume that the server is
        // down, they wait for the connection: the first requests, and those after the loss of a connection
        // that worked.
        let mut failure: Option<Error> = None;
        loop {
            let connected = tokio::select! {
                biased;
                connected = connect(&self.settings) => connected,
                () = reject_requests(&mut self.queue, failure.as_ref()), if failure.is_some() => return,
            };
            let error = match connected {
                Ok((stream, epoch)) => {
                    self.settings.size_limit.connected_to(epoch);
                    self.shared.connected_to(epoch);
                    if failure.take().is_some() {
                        info!(
                            server = %self.settings.address,
                            "connected to memcached: calls use the shared store again"
                        );
                    }
                    match self.serve(stream, epoch).await {
                        ConnectionEnd::Unused => return,
                        ConnectionEnd::Lost { error, has_replied: true } => {
                            warn!(
                                server = %self.settings.address,
                                %error,
                                "lost the connection to memcached: calls in flight compute without the \
                                 shared store; reconnecting now"
                            );
                            self.backoff = Backoff::default();
                            continue;
                        }
                        ConnectionEnd::Lost { error, has_replied: false } => error,
                    }
                }
                Err(error) => error,
            };

            if failure.is_none() {
                warn!(
                    server = %self.settings.address,
                    %error,
                    "cannot connect to memcached: calls compute without the shared store, and connecting is \
                     retried at least every {} ms; check the server, its address and the credentials",
                    MAX_DELAY.as_millis()
                );
            }
            failure = Some(error);
            self.shared.is_down.store(true, Relaxed);
            tokio::select! {
                () = sleep(self.backoff.next()) => {}
                () = reject_requests(&mut self.queue, failure.as_ref()) => return,
            }
        }
    }

    async fn serve(&mut self, stream: Stream, epoch: Epoch) -> ConnectionEnd {
        match stream {
            Stream::Tcp(mut stream) => {
                let (reader, writer) = stream.split();
                self.exchange(reader, writer, epoch).await
            }
            #[cfg(unix)]
            Stream::Unix(mut stream) => {
                let (reader, writer) = stream.split();
                self.exchange(reader, writer, epoch).await
            }
        }
    }

    /// Writes requests and reads replies until the connection is lost or no longer needed.
    ///
    /// Reading does not wait for writing, nor writing for reading: a server that sends before it receives
    /// would block both sides otherwise.
    async fn exchange<R, W>(&mut self, mut reader: R, mut writer: W, epoch: Epoch) -> ConnectionEnd
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut requests = Vec::with_capacity(MAX_TAKEN_AT_ONCE);
        let mut output = BytesMut::with_capacity(BUFFER_BYTES);
        let mut replies = PendingReplies::new(epoch, &self.settings);
        let mut reply_timeout = pin!(sleep(self.settings.reply_timeout));

        let error = loop {
            replies.reserve();
            let free = if output.len() < MAX_OUTPUT_BYTES {
                MAX_IN_FLIGHT.saturating_sub(replies.pending.len())
            } else {
                0
            };
            tokio::select! {
                biased;
                written = writer.write_buf(&mut output), if !output.is_empty() => match written {
                    Ok(0) => break connection_lost(),
                    Ok(_) if output.is_empty() => clear(&mut output),
                    Ok(_) => {}
                    Err(e) => break connection_lost().with_source(e),
                },
                read = reader.read_buf(&mut replies.buffer) => match read {
                    Ok(0) => break connection_lost(),
                    Ok(_) => if let Err(error) = replies.deliver() { break error },
                    Err(e) => break connection_lost().with_source(e),
                },
                taken = self.queue.recv_many(&mut requests, free.min(MAX_TAKEN_AT_ONCE)), if free > 0 => {
                    if taken == 0 {
                        return ConnectionEnd::Unused;
                    }
                    let now = Instant::now();
                    for request in requests.drain(..) {
                        replies.enqueue(request, &mut output, now);
                    }
                }
                () = &mut reply_timeout, if !replies.pending.is_empty() => {
                    let Some(due) = replies.due() else { continue };
                    let next = if due <= Instant::now() {
                        deadline::extended(reply_timeout.deadline(), due + MAX_EXTENSION)
                    } else {
                        Some(due)
                    };
                    let Some(next) = next else {
                        break Error::new(ErrorKind::Timeout, "memcached does not reply any more");
                    };
                    reply_timeout.as_mut().reset(next);
                }
            }
        };
        for pending in replies.pending {
            let _ = pending.reply.send(Err(error.clone())); // Fails if the caller was dropped.
        }
        ConnectionEnd::Lost { error, has_replied: replies.has_replied }
    }
}

/// Rejects every request immediately, and returns when the store was dropped.
async fn reject_requests(queue: &mut mpsc::Receiver<Request>, reason: Option<&Error>) {
    while let Some(Request { reply, .. }) = queue.recv().await {
        let _ = reply.send(Err(reason.cloned().unwrap_or_else(connection_lost)));
    }
}

/// Clears a buffer, and frees the memory that a large value has used.
fn clear(output: &mut BytesMut) {
    if output.capacity() > MAX_OUTPUT_BYTES {
        *output = BytesMut::with_capacity(BUFFER_BYTES);
    } else {
        output.clear();
    }
}

/// The maximum number of requests that are taken from the queue at once.
const MAX_TAKEN_AT_ONCE: usize = 128;
/// The maximum number of requests that were written and not replied to.
const MAX_IN_FLIGHT: usize = 1024;
/// The number of bytes waiting to be written above which no request is taken from the queue.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;
