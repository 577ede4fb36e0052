//! eventfd, timerfd, signalfd.
