//! getsockopt, setsockopt.
