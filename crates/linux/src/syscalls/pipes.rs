//! pipe, splice, tee.
