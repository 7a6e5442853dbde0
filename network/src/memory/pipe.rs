//! One direction of a stream in memory.

use super::link::{Link, Side};
use crate::transport::BiStream;
use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// What the two ends of one direction share.
pub(super) struct Pipe {
    link: Arc<Link>,
    from: Side,
    state: Mutex<PipeState>,
}

struct PipeState {
    pieces: VecDeque<Piece>,
    buffered: usize,
    /// When the last piece arrives: none overtakes it.
    arrives: Instant,
    finished: bool,
    /// The reader has gone.
    stopped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The other end of the stream, until the first byte announces it.
    announcement: Option<(mpsc::UnboundedSender<BiStream>, BiStream)>,
}

struct Piece {
    arrives: Instant,
    bytes: Vec<u8>,
    read: usize,
}

/// Where one end writes.
pub(super) struct PipeWriter {
    pipe: Arc<Pipe>,
    pub(super) is_opener: bool,
}

/// Where the other end reads.
pub(super) struct PipeReader {
    pipe: Arc<Pipe>,
    delay: Option<Pin<Box<Sleep>>>,
}

impl Pipe {
    pub(super) fn new(link: Arc<Link>, from: Side) -> Self {
        let state = PipeState {
            pieces: VecDeque::new(),
            buffered: 0,
            arrives: Instant::now(),
            finished: false,
            stopped: false,
            reader: None,
            writer: None,
            announcement: None,
        };
        Self { link, from, state: Mutex::new(state) }
    }

    /// Hands the other end its stream once something is written.
    pub(super) fn announce_with(&self, to: mpsc::UnboundedSender<BiStream>, stream: BiStream) {
        self.lock().announcement = Some((to, stream));
    }

    pub(super) fn wake(&self) {
        let mut state = self.lock();
        state.reader.take().into_iter().chain(state.writer.take()).for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) {
        let announcement = {
            let mut state = self.lock();
            state.finished = true;
            state.announcement.take()
        };
        announce(announcement);
        self.wake();
    }

    fn broken(&self, side: Side) -> Option<io::Error> {
        let reason = self.link.ended(side)?;
        Some(io::Error::new(io::ErrorKind::ConnectionReset, reason.to_string()))
    }
}

/// A closed receiver means that the connection has ended; the stream then ends with it.
fn announce(announcement: Option<(mpsc::UnboundedSender<BiStream>, BiStream)>) {
    if let Some((to, stream)) = announcement {
        let _ = to.send(stream);
    }
}

impl PipeWriter {
    pub(super) fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, is_opener: false }
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let pipe = &self.pipe;
        let latency = pipe.link.shared.latency();
        let window = pipe.link.shared.conditions.window_bytes;
        let mut state = pipe.lock();
        state.writer = Some(cx.waker().clone());
        if let Some(error) = pipe.broken(pipe.from) {
            return Poll::Ready(Err(error));
        }
        if state.stopped || state.finished {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream was stopped")));
        }
        let taken = bytes.len().min(window.saturating_sub(state.buffered));
        if taken == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        let arrives = state.arrives.max(Instant::now() + latency);
        state.arrives = arrives;
        state.buffered += taken;
        state.pieces.push_back(Piece { arrives, bytes: bytes[..taken].to_vec(), read: 0 });
        let (reader, announcement) = (state.reader.take(), state.announcement.take());
        drop(state);
        announce(announcement);
        reader.into_iter().for_each(Waker::wake);
        pipe.link.note_written(pipe.from, taken);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        // A stream that was opened and dropped without a byte was never seen by the other end.
        let unseen = self.is_opener && self.pipe.lock().announcement.take().is_some();
        if !unseen {
            self.pipe.finish();
        }
    }
}

impl PipeReader {
    pub(super) fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, delay: None }
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let pipe = self.pipe.clone();
        let mut state = pipe.lock();
        state.reader = Some(cx.waker().clone());
        if let Some(error) = pipe.broken(1 - pipe.from) {
            return Poll::Ready(Err(error));
        }
        if pipe.link.is_partitioned() {
            return Poll::Pending;
        }
        let Some(piece) = state.pieces.front_mut() else {
            return if state.finished { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        if piece.arrives > Instant::now() {
            let mut delay = Box::pin(tokio::time::sleep_until(piece.arrives));
            let early = delay.as_mut().poll(cx).is_pending();
            drop(state);
            self.delay = Some(delay);
            if !early {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let taken = into.remaining().min(piece.bytes.len() - piece.read);
        into.put_slice(&piece.bytes[piece.read..piece.read + taken]);
        piece.read += taken;
        if piece.read == piece.bytes.len() {
            state.pieces.pop_front();
        }
        state.buffered -= taken;
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.lock().stopped = true;
        self.pipe.wake();
    }
}
