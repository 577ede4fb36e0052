//! The standard streams of a machine whose output is captured: an empty input, and two pipes that a thread empties, so
//! that a guest that writes much does not have to wait for a reader. Shared by a machine, its snapshot and its forks.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// Bytes kept of each stream between two looks; further bytes are dropped.
const KEPT: usize = 64 << 20;
/// Bytes kept of the end of each stream, also after a look.
const LAST: usize = 4096;

/// The bytes that came from a stream.
#[derive(Default)]
struct Written {
    /// Since the last look.
    new: Vec<u8>,
    /// The end of all.
    last: Vec<u8>,
}

/// One stream.
struct Stream {
    pipe: OwnedFd,
    /// Lock order: each alone.
    written: Mutex<Written>,
}

impl Written {
    fn add(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.new.len());
        self.new.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let end = &bytes[bytes.len().saturating_sub(LAST)..];
        self.last.drain(..(self.last.len() + end.len()).saturating_sub(LAST));
        self.last.extend_from_slice(end);
    }
}

/// The output of a guest on its standard output and error.
pub struct Capture {
    streams: [Stream; 2],
}

impl Stream {
    /// A stream and the guest's end of it.
    fn new() -> Result<(Self, OwnedFd), Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        Ok((Self { pipe: reader, written: Mutex::default() }, writer))
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes in the pipe; false when nobody will write any more.
    fn empty(&self) -> bool {
        let mut written = self.lock();
        let mut chunk = [0; 1 << 16];
        loop {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => return false,
                Ok(count) => written.add(&chunk[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }
}

impl Capture {
    /// Standard streams for a guest, and the capture of their output.
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

    /// The output since the last call.
    pub fn take(&self) -> (Vec<u8>, Vec<u8>) {
        self.each(|written| std::mem::take(&mut written.new))
    }

    /// The last [`LAST`] bytes that have been written.
    pub fn last(&self) -> (Vec<u8>, Vec<u8>) {
        self.each(|written| written.last.clone())
    }

    /// The end of each stream's output, after the bytes in its pipe have been taken.
    fn each(&self, of: impl Fn(&mut Written) -> Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let [output, errors] = &self.streams;
        let each = |stream: &Stream| {
            stream.empty();
            of(&mut stream.lock())
        };
        (each(output), each(errors))
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
