//! The names of a snapshot's sockets: addresses, and files of Unix sockets. Clients of all forks come to them. A fork that took
//! one for a socket of its own would get the others' clients, so none may.

use std::net::SocketAddr;

use crate::guest_path;

/// The device and inode numbers of a file.
pub type FileNumber = ((u32, u32), u64);

/// Where the file of a Unix socket is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketFile {
    /// The absolute path that the program gave.
    pub path: Vec<u8>,
    /// Its last name.
    pub name: Vec<u8>,
    /// The directory that has that name, and those above it.
    pub directories: Vec<FileNumber>,
}

impl SocketFile {
    /// What had the name `from` (a directory and a name in it), `moved`, has the name `to` now (directories as
    /// [`SocketFile::directories`], and a name). Whether that was the file or something above it.
    pub fn follow(
        &mut self,
        from: (FileNumber, &[u8]),
        moved: Option<FileNumber>,
        (directories, name): (&[FileNumber], &[u8]),
    ) -> bool {
        if self.name == from.1 && self.directories.first() == Some(&from.0) {
            (self.name, self.directories) = (name.to_vec(), directories.to_vec());
            return true;
        }
        let Some(at) = self.directories.iter().position(|above| Some(*above) == moved) else { return false };
        self.directories.truncate(at + 1);
        self.directories.extend(directories);
        true
    }
}

/// An Internet address that a socket has, or is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldAddress {
    /// It is a stream socket's.
    pub stream: bool,
    /// Without mapping.
    pub address: SocketAddr,
    /// IPv4 does not reach the socket.
    pub only_v6: bool,
}

impl HeldAddress {
    /// Whether it is at every address of `other`'s family.
    fn covers(&self, other: &Self) -> bool {
        let both_families = self.address.is_ipv6() && !self.only_v6;
        self.address.ip().is_unspecified() && (both_families || self.address.is_ipv4() == other.address.is_ipv4())
    }

    fn meets(&self, other: &Self) -> bool {
        self.stream == other.stream
            && self.address.port() == other.address.port()
            && (self.address.ip() == other.address.ip() || self.covers(other) || other.covers(self))
    }
}

/// The names of a snapshot's sockets; none before a freeze.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FrozenNames {
    addresses: Vec<HeldAddress>,
    files: Vec<SocketFile>,
}

impl FrozenNames {
    /// Adds the name of a socket.
    pub fn add(&mut self, address: Option<HeldAddress>, file: Option<SocketFile>) {
        self.addresses.extend(address);
        self.files.extend(file);
    }

    /// Whether a socket with this address would take clients from one of them.
    #[must_use]
    pub fn has_address(&self, wanted: &HeldAddress) -> bool {
        self.addresses.iter().any(|held| held.meets(wanted))
    }

    /// Whether there are files among them.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether one of them would not be found any more if `name` in `directory` led elsewhere: the socket's file has that name,
    /// or what has it, `target` at `path`, is on the way.
    #[must_use]
    pub fn goes_by(&self, directory: FileNumber, name: &[u8], target: Option<FileNumber>, path: &[u8]) -> bool {
        self.files.iter().any(|file| {
            file.name == name && file.directories.first() == Some(&directory)
                || target.is_some_and(|target| file.directories.contains(&target))
                || guest_path::beneath(&file.path, path).is_some()
        })
    }
}
