//! getrandom.
