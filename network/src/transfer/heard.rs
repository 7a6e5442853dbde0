//! Telling a reader's caller of bytes as they come, long before a piece is whole: by it a holder that trickles is told from
//! one that stalls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// Is told how many bytes of an answer came just now; they are not verified yet.
pub type Heard<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// A stream whose bytes are counted as they are read.
pub(super) struct Listening<'a, R> {
    pub(super) inner: &'a mut R,
    pub(super) heard: Heard<'a>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Listening<'_, R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut *self.inner).poll_read(cx, into);
        let came = into.filled().len() - before;
        if came > 0 {
            (self.heard)(came);
        }
        polled
    }
}
