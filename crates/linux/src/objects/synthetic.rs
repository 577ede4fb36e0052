//! Files whose text warmfork makes up when they are opened: /proc and /sys.

use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::fcntl::{SEEK_CUR, SEEK_END, SEEK_SET};
use warmfork_abi::stat::{Metadata, S_IFREG};

use crate::metadata::made_up;
use crate::objects::{Context, Operations};

/// A made-up file.
#[derive(Clone, PartialEq, Debug)]
pub struct Synthetic {
    /// The guest's plain path of it.
    pub path: Vec<u8>,
    /// Permission bits.
    pub permissions: u32,
    /// Its bytes, as they were when it was opened.
    pub text: Arc<[u8]>,
}

impl Operations for Synthetic {
    fn read(&mut self, context: &mut Context<'_>, into: &mut [u8], at: Option<u64>) -> Result<usize, Errno> {
        let start = usize::try_from(at.unwrap_or(*context.offset)).unwrap_or(usize::MAX).min(self.text.len());
        let count = into.len().min(self.text.len() - start);
        into[..count].copy_from_slice(&self.text[start..start + count]);
        if at.is_none() {
            *context.offset += count as u64;
        }
        Ok(count)
    }

    fn seek(&mut self, context: &mut Context<'_>, by: i64, whence: u32) -> Result<u64, Errno> {
        let from = match whence {
            SEEK_SET => 0,
            SEEK_CUR => *context.offset,
            SEEK_END => self.text.len() as u64,
            _ => return Err(Errno::EINVAL),
        };
        let target = i64::try_from(from).ok().and_then(|from| from.checked_add(by)).ok_or(Errno::EINVAL)?;
        *context.offset = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        Ok(*context.offset)
    }

    fn pollable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        true
    }

    fn metadata(&mut self, _context: &mut Context<'_>) -> Result<Metadata, Errno> {
        Ok(Metadata { mode: S_IFREG | self.permissions, ..made_up(&self.path) })
    }

    fn link_text(&self) -> Vec<u8> {
        self.path.clone()
    }
}
