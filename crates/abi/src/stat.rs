//! `struct stat`, `struct statx`, `struct statfs` and `struct linux_dirent64` of x86-64.

/// File type bits of a mode.
pub const S_IFMT: u32 = 0o170_000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140_000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120_000;
/// Regular file.
pub const S_IFREG: u32 = 0o100_000;
/// Block device.
pub const S_IFBLK: u32 = 0o060_000;
/// Directory.
pub const S_IFDIR: u32 = 0o040_000;
/// Character device.
pub const S_IFCHR: u32 = 0o020_000;
/// FIFO.
pub const S_IFIFO: u32 = 0o010_000;
/// Set-user-ID.
pub const S_ISUID: u32 = 0o4000;
/// Set-group-ID.
pub const S_ISGID: u32 = 0o2000;
/// Sticky.
pub const S_ISVTX: u32 = 0o1000;

/// What statx fills in beside the basics: STATX_BASIC_STATS.
pub const STATX_BASIC_STATS: u32 = 0x7ff;
/// The birth time is valid.
pub const STATX_BTIME: u32 = 0x800;
/// The mount id is valid.
pub const STATX_MNT_ID: u32 = 0x1000;
/// Reserved for extension: EINVAL.
pub const STATX_RESERVED: u32 = 0x8000_0000;

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamp {
    /// Seconds; negative before 1970.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Everything that the stat family can tell about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// Device numbers (major, minor) of the file system.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device numbers (major, minor) that a device node stands for.
    pub represents: (u32, u32),
    /// Bytes.
    pub size: u64,
    /// Preferred block size for I/O.
    pub block_size: u32,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub accessed: Timestamp,
    /// Last modification.
    pub modified: Timestamp,
    /// Last status change.
    pub changed: Timestamp,
    /// Birth.
    pub born: Option<Timestamp>,
    /// STATX_ATTR_ bits that are set.
    pub attributes: u64,
    /// STATX_ATTR_ bits that the file system knows.
    pub attributes_mask: u64,
    /// Mount id.
    pub mount: Option<u64>,
}

/// Length of `struct stat`.
pub const STAT_LENGTH: usize = 144;
/// Length of `struct statx`.
pub const STATX_LENGTH: usize = 256;
/// Length of `struct statfs`.
pub const STATFS_LENGTH: usize = 120;

/// A device number as `st_dev` and `st_rdev` carry it (the kernel's new_encode_dev, widened as in glibc's makedev).
#[must_use]
pub const fn device_number((major, minor): (u32, u32)) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (major & 0xfff) << 8 | (major & !0xfff) << 32 | minor & 0xff | (minor & !0xff) << 12
}

struct Writer<'a> {
    bytes: &'a mut [u8],
}

impl Writer<'_> {
    fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn word(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    fn long(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
}

impl Metadata {
    /// The file type bits of the mode.
    #[must_use]
    pub const fn file_type(&self) -> u32 {
        self.mode & S_IFMT
    }

    /// As `struct stat` (asm/stat.h).
    #[must_use]
    pub fn to_stat(&self) -> [u8; STAT_LENGTH] {
        let mut bytes = [0; STAT_LENGTH];
        let mut to = Writer { bytes: &mut bytes };
        to.long(0, device_number(self.device));
        to.long(8, self.inode);
        to.long(16, u64::from(self.links));
        to.word(24, self.mode);
        to.word(28, self.uid);
        to.word(32, self.gid);
        to.long(40, device_number(self.represents));
        to.long(48, self.size);
        to.long(56, u64::from(self.block_size));
        to.long(64, self.blocks);
        for (at, time) in [(72, self.accessed), (88, self.modified), (104, self.changed)] {
            to.long(at, time.seconds.cast_unsigned());
            to.long(at + 8, u64::from(time.nanoseconds));
        }
        bytes
    }

    /// As `struct statx` (linux/stat.h), with everything that is known whatever was asked for, as Linux may.
    #[must_use]
    pub fn to_statx(&self) -> [u8; STATX_LENGTH] {
        let mut bytes = [0; STATX_LENGTH];
        let mut to = Writer { bytes: &mut bytes };
        let birth = if self.born.is_some() { STATX_BTIME } else { 0 };
        let mount = if self.mount.is_some() { STATX_MNT_ID } else { 0 };
        to.word(0, STATX_BASIC_STATS | birth | mount);
        to.word(4, self.block_size);
        to.long(8, self.attributes);
        to.word(16, self.links);
        to.word(20, self.uid);
        to.word(24, self.gid);
        to.put(28, &self.mode.to_le_bytes()[..2]);
        to.long(32, self.inode);
        to.long(40, self.size);
        to.long(48, self.blocks);
        to.long(56, self.attributes_mask);
        let times =
            [(64, self.accessed), (80, self.born.unwrap_or_default()), (96, self.changed), (112, self.modified)];
        for (at, time) in times {
            to.long(at, time.seconds.cast_unsigned());
            to.word(at + 8, time.nanoseconds);
        }
        to.word(128, self.represents.0);
        to.word(132, self.represents.1);
        to.word(136, self.device.0);
        to.word(140, self.device.1);
        to.long(144, self.mount.unwrap_or(0));
        bytes
    }
}

/// What statfs can tell about a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileSystemStatus {
    /// Magic number of the type.
    pub kind: u64,
    /// Block size.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub free: u64,
    /// Free blocks for unprivileged users.
    pub available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub free_files: u64,
    /// Longest name.
    pub name_length: u64,
    /// Fragment size.
    pub fragment_size: u64,
    /// ST_ flags.
    pub flags: u64,
}

impl FileSystemStatus {
    /// As `struct statfs` (asm-generic/statfs.h); the file system id is zero.
    #[must_use]
    pub fn to_statfs(&self) -> [u8; STATFS_LENGTH] {
        let mut bytes = [0; STATFS_LENGTH];
        let mut to = Writer { bytes: &mut bytes };
        let words = [self.kind, self.block_size, self.blocks, self.free, self.available, self.files, self.free_files];
        for (index, word) in words.into_iter().enumerate() {
            to.long(index * 8, word);
        }
        to.long(64, self.name_length);
        to.long(72, self.fragment_size);
        to.long(80, self.flags);
        bytes
    }
}

/// d_type of a directory entry: a file type bits' upper half.
#[must_use]
pub const fn entry_type(mode: u32) -> u8 {
    ((mode & S_IFMT) >> 12) as u8
}

/// Length of a `linux_dirent64` with a name of `name` bytes: header, name, NUL, padded to eight bytes.
#[must_use]
pub const fn dirent64_length(name: usize) -> usize {
    (19 + name + 1).next_multiple_of(8)
}

/// Length of a `linux_dirent` (getdents) with a name of `name` bytes: header, name, NUL, type, padded.
#[must_use]
pub const fn dirent_length(name: usize) -> usize {
    (18 + name + 2).next_multiple_of(8)
}
