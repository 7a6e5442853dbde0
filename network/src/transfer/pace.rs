//! How slow the other side may be: it may stall for a while, but over a whole piece it must keep a minimum rate.

use bytes::{BufMut as _, Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

/// Patience with a peer.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long nothing at all may move.
    pub stall: Duration,
    /// Bytes per second over a whole piece, after one stall.
    pub bytes_per_second_min: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { stall: Duration::from_secs(30), bytes_per_second_min: 16 * 1024 }
    }
}

impl Pace {
    /// How long a piece of `bytes` may take.
    pub fn allowance(&self, bytes: usize) -> Duration {
        self.stall + Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second_min.max(1)))
    }

    /// Reads `length` bytes, into memory that nobody writes zeros to first.
    pub(super) async fn read(&self, stream: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
        let end = Instant::now() + self.allowance(length);
        let mut buffer = BytesMut::with_capacity(length);
        while buffer.len() < length {
            let left = length - buffer.len();
            let mut room = (&mut buffer).limit(left);
            let read = timeout_at(self.next(end), stream.read_buf(&mut room)).await.map_err(|_| late())??;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(buffer.freeze())
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        let end = Instant::now() + self.allowance(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = timeout_at(self.next(end), stream.write(rest)).await.map_err(|_| late())??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[written..];
        }
        Ok(())
    }

    fn next(&self, end: Instant) -> Instant {
        end.min(Instant::now() + self.stall)
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the other side is too slow")
}
