//! The process platform.
