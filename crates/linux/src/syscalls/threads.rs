//! clone, set_tid_address, robust lists, rseq.
