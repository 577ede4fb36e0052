//! chdir, getcwd, readlink, umask.
