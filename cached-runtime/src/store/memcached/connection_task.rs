//! The task that owns the connection of one runtime.

use std::pin::pin;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::backoff::Backoff;
use super::connection::{Request, Settings, lost};
use super::handshake::{Stream, dial};
use super::pending_replies::{BUFFER, Replies};
use super::protocol::Epoch;
use crate::{Error, ErrorKind};

/// The task that owns a connection.
pub(super) struct Carrier {
    settings: Arc<Settings>,
    queue: mpsc::Receiver<Request>,
    backoff: Backoff,
}

/// How a connection ended.
enum End {
    /// Nobody is left to use it.
    Unused,
    /// `served`: it was of use before.
    Lost { error: Error, served: bool },
}

impl Carrier {
    pub(super) fn new(settings: Arc<Settings>, queue: mpsc::Receiver<Request>) -> Self {
        Self { settings, queue, backoff: Backoff::default() }
    }

    pub(super) async fn run(mut self) {
        // What requests are refused with. As long as there is no reason to think that the server is down, they wait
        // for the dial: the very first ones, and those after a connection that was of use.
        let mut down: Option<Error> = None;
        loop {
            let dialled = tokio::select! {
                biased;
                dialled = dial(&self.settings) => dialled,
                () = refuse(&mut self.queue, down.as_ref()), if down.is_some() => return,
            };
            let error = match dialled {
                Ok((stream, epoch)) => {
                    if down.take().is_some() {
                        tracing::info!(server = %self.settings.address, "memcached is back");
                    }
                    match self.serve(stream, epoch).await {
                        End::Unused => return,
                        End::Lost { error, served: true } => {
                            tracing::warn!(server = %self.settings.address, %error, "memcached was lost");
                            self.backoff = Backoff::default();
                            continue;
                        }
                        End::Lost { error, served: false } => error,
                    }
                }
                Err(error) => error,
            };

            if down.is_none() {
                tracing::warn!(server = %self.settings.address, %error, "memcached is down");
            }
            down = Some(error);
            tokio::select! {
                () = sleep(self.backoff.next()) => {}
                () = refuse(&mut self.queue, down.as_ref()) => return,
            }
        }
    }

    async fn serve(&mut self, stream: Stream, epoch: Epoch) -> End {
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

    /// Writes requests and reads replies until the connection is lost or of no use any more.
    ///
    /// Reading never waits for writing, nor the other way round: a server that sends before it receives on would
    /// otherwise be waited for in vain.
    async fn exchange<R, W>(&mut self, mut reader: R, mut writer: W, epoch: Epoch) -> End
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut batch = Vec::with_capacity(BATCH);
        let mut output = BytesMut::with_capacity(BUFFER);
        let mut input = Replies::new(epoch, &self.settings);
        let mut stalled = pin!(sleep(self.settings.stall));

        let error = loop {
            input.make_room();
            let room = if output.len() < OUTPUT { IN_FLIGHT.saturating_sub(input.pending.len()) } else { 0 };
            tokio::select! {
                biased;
                written = writer.write_buf(&mut output), if !output.is_empty() => match written {
                    Ok(0) => break lost(),
                    Ok(_) if output.is_empty() => renew(&mut output),
                    Ok(_) => {}
                    Err(e) => break lost().with_source(e),
                },
                read = reader.read_buf(&mut input.buffer) => match read {
                    Ok(0) => break lost(),
                    Ok(_) => if let Err(error) = input.hand_out() { break error },
                    Err(e) => break lost().with_source(e),
                },
                taken = self.queue.recv_many(&mut batch, room.min(BATCH)), if room > 0 => {
                    if taken == 0 {
                        return End::Unused;
                    }
                    let now = Instant::now();
                    for request in batch.drain(..) {
                        input.expect(request, &mut output, now);
                    }
                }
                () = &mut stalled, if !input.pending.is_empty() => {
                    let Some(oldest) = input.pending.front() else { continue };
                    let due = oldest.since + self.settings.stall;
                    if due <= Instant::now() {
                        break Error::new(ErrorKind::Timeout, "memcached stopped answering");
                    }
                    stalled.as_mut().reset(due);
                }
            }
        };
        for pending in input.pending {
            // Whoever does not wait any more does not need to know.
            let _ = pending.answer.send(Err(error.clone()));
        }
        End::Lost { error, served: input.served }
    }
}

/// Refuses every request at once, until nobody is left to make any.
async fn refuse(queue: &mut mpsc::Receiver<Request>, reason: Option<&Error>) {
    while let Some(Request { answer, .. }) = queue.recv().await {
        let _ = answer.send(Err(reason.cloned().unwrap_or_else(lost)));
    }
}

/// Gives back what one large value has taken.
fn renew(output: &mut BytesMut) {
    if output.capacity() > OUTPUT {
        *output = BytesMut::with_capacity(BUFFER);
    } else {
        output.clear();
    }
}

/// Requests that are taken from the queue at once.
const BATCH: usize = 128;
/// Requests that were written and not answered.
const IN_FLIGHT: usize = 1024;
/// Bytes waiting to be written beyond which nothing is taken from the queue.
const OUTPUT: usize = 256 * 1024;
