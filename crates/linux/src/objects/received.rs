//! The results of receiving calls, and the progress of a conversation by the bytes received and sent.

use warmfork_abi::Errno;
use warmfork_host::Ancillary;

use crate::events::DescriptionId;
use crate::ids::Credentials;
use crate::objects::address::Address;

/// The result of a receiving call beside the bytes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Received {
    /// Bytes in the buffer.
    pub length: usize,
    /// Bytes that the message had.
    pub whole: usize,
    /// MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB as recvmsg(2) returns them.
    pub flags: u32,
    /// Where it came from, when the protocol says.
    pub address: Option<Address>,
    /// Descriptions that came with it (SCM_RIGHTS); the receiver owns their references.
    pub rights: Vec<DescriptionId>,
    /// The sender's credentials, when that is one of the machine's own processes.
    pub credentials: Option<Credentials>,
    /// Other ancillary data that a guest may see.
    pub ancillary: Vec<Ancillary>,
}

impl Received {
    /// The same, with nothing in the buffer when the bytes were discarded.
    pub(super) fn discarded(self, discarded: bool) -> Self {
        if discarded { Self { length: 0, ..self } } else { self }
    }
}

/// A side of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// The guest.
    Guest,
    /// Its peer.
    Peer,
}

/// How far a conversation has come, over a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Conversation {
    /// Who said something first.
    first: Option<Speaker>,
    /// Something has been sent since something was received last.
    answered: bool,
    /// Nothing more will be received.
    ended: bool,
    /// It had been answered when it ended, and nothing has been sent since.
    over: bool,
}

impl Conversation {
    pub(super) fn received(&mut self, received: &Result<Received, Errno>) {
        match received {
            Ok(Received { whole: 1.., .. }) => {
                self.first.get_or_insert(Speaker::Peer);
                self.answered = false;
            }
            Ok(_) | Err(Errno::ECONNRESET) if !self.ended => {
                self.ended = true;
                self.over = self.answered;
            }
            _ => {}
        }
    }

    pub(super) fn sent(&mut self, sent: &Result<usize, Errno>) {
        if matches!(sent, Ok(1..)) {
            self.first.get_or_insert(Speaker::Guest);
            self.answered = true;
            self.over = false;
        }
    }

    /// Who said something first, if anybody has said anything.
    #[must_use]
    pub fn first(self) -> Option<Speaker> {
        self.first
    }

    /// Whether the guest had answered all that it received before it learnt that no more will come, and has not said
    /// anything since.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(whole: usize) -> Result<Received, Errno> {
        Ok(Received { length: whole, whole, ..Received::default() })
    }

    #[test]
    fn a_conversation_is_over_when_all_was_answered_before_it_ended() {
        let mut talk = Conversation::default();
        talk.received(&got(5));
        talk.sent(&Ok(7));
        assert!(!talk.is_over());
        talk.received(&Err(Errno::EAGAIN));
        assert!(!talk.is_over());
        talk.received(&got(0));
        talk.received(&got(0));
        assert!(talk.is_over());
        // It has more to say after all.
        talk.sent(&Ok(1));
        talk.received(&got(0));
        assert!(!talk.is_over());
    }

    #[test]
    fn a_conversation_with_an_answer_to_come_is_not_over() {
        for end in [got(0), Err(Errno::ECONNRESET)] {
            let mut talk = Conversation::default();
            talk.sent(&Ok(3));
            talk.received(&got(5));
            talk.sent(&Err(Errno::EAGAIN));
            talk.received(&end);
            assert!(!talk.is_over());
            talk.sent(&Ok(3));
            assert!(!talk.is_over());
        }
    }
}
