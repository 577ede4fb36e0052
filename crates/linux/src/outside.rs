//! Connections to the outside when a machine is frozen: each has one peer, which can talk with one machine
//! only, so that forks cannot share it.
//!
//! ```text
//!   a stream            ends in each fork as if its peer had reset it, so that clients and pools connect again
//!   a datagram socket   is made anew in each fork, and connected to the same peer (objects/inherited.rs)
//!   one that is kept    is shared by all forks, at the user's risk
//! ```

use std::fmt;
use std::sync::Arc;

use warmfork_abi::Errno;
use warmfork_abi::socket::AF_UNIX;

use crate::events::DescriptionId;
use crate::kernel::Kernel;
use crate::objects::address::{Address, plain};
use crate::objects::frozen_names::FrozenNames;
use crate::objects::pair::PairEnd;
use crate::objects::socket::Socket;
use crate::objects::tcp::TcpEnd;
use crate::objects::{Object, Shared};
use crate::policy::HostPattern;

/// The user's wishes about connections to the outside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutsideRules {
    /// Those to these peers are shared by all forks.
    pub keep: Vec<HostPattern>,
    /// A machine that has any others is not frozen.
    pub refuse: bool,
}

/// A connection to the outside that was open at the freeze.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outside {
    /// The other end. A Unix socket seldom has a name.
    pub peer: Address,
    /// The program accepted it.
    pub accepted: bool,
    /// All forks share it.
    pub kept: bool,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.accepted { "from " } else { "to " })?;
        match &self.peer {
            Address::Internet(address) => write!(f, "{}", plain(*address)),
            Address::Path(path) => f.write_str(&String::from_utf8_lossy(path)),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Address::Unnamed | Address::Unspecified => f.write_str("a Unix socket without a name"),
        }
    }
}

impl Kernel {
    /// A copy of this machine's kernel that forks begin with. Objects of which the host has one for all forks are marked.
    /// Connections to the outside, except `except`, end as `rules` say; they are returned. The caller seals the copy's own files
    /// ([`Kernel::seal_own_files`]).
    ///
    /// # Errors
    /// The host's refusal to copy files (ENOMEM, EMFILE); ENOSPC when they hold more than the guest may map.
    pub fn freeze(&self, rules: &OutsideRules, except: Option<DescriptionId>) -> Result<(Self, Vec<Outside>), Errno> {
        let mut frozen = self.copy()?;
        let mut found = Vec::new();
        let Self { files, shared, .. } = &mut frozen;
        let mut names = FrozenNames::clone(&shared.frozen_names);
        for (id, description) in files.descriptions_mut() {
            if let Object::Socket(socket) = &description.object {
                socket.add_name(&mut names);
            }
            let outside = match &description.object {
                Object::Socket(socket) => outside(socket, rules).filter(|_| Some(id) != except),
                _ => None,
            };
            match (&outside, &description.object) {
                (Some(outside), Object::Socket(socket)) if !outside.kept => {
                    description.object = ended(shared, socket, &outside.peer);
                }
                _ => description.object.operations().share(),
            }
            found.extend(outside);
        }
        shared.frozen_names = Arc::new(names);
        Ok((frozen, found))
    }
}

/// The connection that `socket` has to the outside, if it has one.
fn outside(socket: &Socket, rules: &OutsideRules) -> Option<Outside> {
    if !socket.has_peer() || socket.is_datagram() {
        return None;
    }
    // A peer that is gone already has no name any more.
    let peer = socket.peer().ok().or_else(|| Some(Address::Internet(socket.to?))).unwrap_or(Address::Unnamed);
    let kept = match &peer {
        Address::Internet(address) => rules.keep.iter().any(|pattern| pattern.matches(address)),
        _ => false,
    };
    Some(Outside { peer, accepted: socket.accepted(), kept })
}

/// The rest of a connection that its peer has reset.
fn ended(shared: &mut Shared, socket: &Socket, peer: &Address) -> Object {
    let nowhere = Address::Unspecified;
    let name = socket.name().unwrap_or(nowhere);
    if socket.family == AF_UNIX {
        return Object::Pair(PairEnd::reset(&mut shared.pairs, socket.kind, name, peer.clone()));
    }
    let internet = |address: &Address| match address {
        Address::Internet(address) => *address,
        _ => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
    };
    Object::Tcp(TcpEnd::reset(&mut shared.connections, socket, internet(&name), internet(peer)))
}
