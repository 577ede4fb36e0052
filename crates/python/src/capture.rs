//! The standard streams of a machine whose output is captured: an empty input, and two pipes that a thread empties, so
//! that a guest that writes much does not wait for anybody who reads. Shared by a machine, its snapshot and its forks.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// Bytes kept of each stream between two looks; what comes after them is dropped.
const KEPT: usize = 64 << 20;

/// One stream.
struct Stream {
    pipe: OwnedFd,
    /// Lock order: each alone.
    written: Mutex<Vec<u8>>,
}

/// What a guest writes to its standard output and error.
pub struct Capture {
    streams: [Stream; 2],
}

impl Stream {
    /// A stream and the guest's end of it.
    fn new() -> Result<(Self, OwnedFd), Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((Self { pipe: reader, written: Mutex::new(Vec::new()) }, writer))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is in the pipe; false when nobody will write any more.
    fn empty(&self) -> bool {
        let mut written = self.lock();
        let mut chunk = [0; 1 << 16];
        loop {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => return false,
                Ok(count) => {
                    let room = KEPT.saturating_sub(written.len());
                    written.extend_from_slice(&chunk[..count.min(room)]);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }
}

impl Capture {
    /// Standard streams for a guest, and what will become of them.
    ///
    /// # Errors
    /// The host's refusal of descriptors or of a thread.
    pub fn new() -> std::io::Result<(Arc<Self>, [OwnedFd; 3])> {
        let input = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let (output, guest_output) = Stream::new()?;
        let (errors, guest_errors) = Stream::new()?;
        let capture = Arc::new(Self { streams: [output, errors] });
        let reader = Arc::clone(&capture);
        std::thread::Builder::new().name("warmfork-output".into()).spawn(move || reader.read())?;
        Ok((capture, [input, guest_output, guest_errors]))
    }

    /// What has been written since the last call.
    pub fn take(&self) -> (Vec<u8>, Vec<u8>) {
        let [output, errors] = &self.streams;
        let take = |stream: &Stream| {
            stream.empty();
            std::mem::take(&mut *stream.lock())
        };
        (take(output), take(errors))
    }

    /// Empties the pipes until no guest has them any more.
    fn read(&self) {
        let mut open: Vec<&Stream> = self.streams.iter().collect();
        while !open.is_empty() {
            let mut waiting: Vec<_> = open.iter().map(|stream| PollFd::new(&stream.pipe, PollFlags::IN)).collect();
            if matches!(poll(&mut waiting, None), Err(error) if error != Errno::INTR) {
                return;
            }
            open.retain(|stream| stream.empty());
        }
    }
}
