//! A stream that gives up on a peer that does not take what is written: an answer that nobody reads would hold its memory
//! and its connection for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What a peer must take in its time once the kernel's buffers are full.
const MIN_BYTES: usize = 8 << 10;

/// Lets a peer wait with reading for so long, and no longer.
#[derive(Debug)]
pub(super) struct Impatient<S> {
    inner: S,
    patience: Duration,
    stall: Option<Stall>,
}

/// The peer has not taken all that was written, since some moment.
#[derive(Debug)]
struct Stall {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S: AsyncWrite + Unpin> Impatient<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, stall: None }
    }

    fn watch(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(taken)) if taken < offered => {
                if let Some(stall) = &mut self.stall {
                    stall.taken = stall.taken.saturating_add(taken);
                }
                polled
            }
            Poll::Ready(_) => {
                self.stall = None;
                polled
            }
            Poll::Pending => self.wait(context).map(Err),
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let patience = self.patience;
        let fresh = || Stall { until: Box::pin(sleep(patience)), taken: 0 };
        let stall = self.stall.get_or_insert_with(fresh);
        loop {
            ready!(stall.until.as_mut().poll(context));
            if stall.taken < MIN_BYTES {
                let text = "the client does not read its answer";
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            stall.taken = 0;
            stall.until.as_mut().reset(Instant::now() + patience);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, bytes.len(), polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(context, slices.iter().map(|slice| slice.len()).sum(), polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_or_a_trickle_is_given_up() {
        for trickle in [0, 100] {
            let (near, mut far) = duplex(1024);
            let reader = tokio::spawn(async move {
                let mut bytes = vec![0; trickle];
                while far.read_exact(&mut bytes).await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
            });
            let start = Instant::now();
            let written = Impatient::new(near, PATIENCE).write_all(&[0; 1 << 20]).await;
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(start.elapsed() <= PATIENCE * 2, "{:?}", start.elapsed());
            reader.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_but_steadily_gets_all() {
        let (near, mut far) = duplex(1024);
        let reader = tokio::spawn(async move {
            let mut bytes = vec![0; 1024];
            let mut count = 0;
            while far.read_exact(&mut bytes).await.is_ok() {
                count += bytes.len();
                sleep(Duration::from_secs(1)).await;
            }
            count
        });
        let mut stream = Impatient::new(near, PATIENCE);
        stream.write_all(&[0; 100 << 10]).await.unwrap();
        // Silence after all is written is no stall.
        sleep(PATIENCE * 3).await;
        stream.write_all(&[0; 1024]).await.unwrap();
        drop(stream);
        assert_eq!(reader.await.unwrap(), 101 << 10);
    }
}
