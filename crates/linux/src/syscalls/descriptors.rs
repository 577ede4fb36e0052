//! dup, fcntl, ioctl, close.
