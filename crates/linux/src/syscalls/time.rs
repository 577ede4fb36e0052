//! Clocks, sleeping, itimers, POSIX timers.
