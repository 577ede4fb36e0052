//! The vector state (XSAVE area) of a signal frame: as Linux writes it for handlers and takes it back.
//!
//! ```text
//!   0    legacy area: x87, MXCSR at 24, SSE registers
//!   464  `_fpx_sw_bytes` in a frame; the mask of features (XCR0) in states that a platform reports
//!   512  header: features in use (XSTATE_BV), compaction (0 but in frames that a guest made), reserved zeros
//!   576  AVX and later features, where the CPU keeps them
//! ```

use warmfork_abi::signals::{FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2};
use warmfork_host::vectors;

/// Bytes of the legacy area.
const LEGACY: usize = 512;
/// Bytes up to the end of the header.
const HEADER_END: usize = 576;
/// Where software bytes begin.
const SOFTWARE: usize = 464;
/// In the header's second word: the layout is the compacted one, of the features that the word's other bits name.
const COMPACTED: u64 = 1 << 63;
/// x87 and SSE.
const LEGACY_FEATURES: u64 = 3;
/// Protection keys: not reset when a handler begins.
const PROTECTION_KEYS: u64 = 1 << 9;
/// AMX tile data: Linux gives it only to programs that asked, and without it frames end before it.
const TILE_DATA: u64 = 1 << 18;
/// Bytes of AMX tile data, the last feature of an area.
const TILE_DATA_SIZE: usize = 8192;
/// x87 control word and MXCSR of a program that has just begun.
const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;
/// MXCSR bits that every CPU with SSE2 has; the mask to use when the state names none.
const DEFAULT_MXCSR_MASK: u32 = 0xffbf;

/// Room for the word after the state.
pub const MAGIC2_SIZE: u64 = 4;

/// How much of a state of `bytes` a frame carries.
#[must_use]
pub fn frame_size(state: &[u8]) -> usize {
    let used = word(state, LEGACY).unwrap_or(0);
    let mask = feature_mask(state);
    if mask & TILE_DATA != 0 && used & TILE_DATA == 0 && state.len() > HEADER_END + TILE_DATA_SIZE {
        state.len() - TILE_DATA_SIZE
    } else {
        state.len()
    }
}

/// The bytes of a frame's vector area, the final magic word included.
#[must_use]
pub fn to_frame(state: &[u8]) -> Vec<u8> {
    let size = frame_size(state);
    let mut area = state[..size].to_vec();
    if size < HEADER_END {
        return area; // no XSAVE header: nothing to describe
    }
    let mut mask = feature_mask(state);
    if size < state.len() {
        mask &= !TILE_DATA;
    }
    let extended = u32::try_from(size).unwrap_or(u32::MAX);
    area[SOFTWARE..LEGACY].fill(0);
    put(&mut area, SOFTWARE, &FP_XSTATE_MAGIC1.to_le_bytes());
    put(&mut area, SOFTWARE + 4, &extended.saturating_add(4).to_le_bytes());
    put(&mut area, SOFTWARE + 8, &mask.to_le_bytes());
    put(&mut area, SOFTWARE + 16, &extended.to_le_bytes());
    let used = word(&area, LEGACY).unwrap_or(0) | LEGACY_FEATURES;
    put(&mut area, LEGACY, &used.to_le_bytes());
    area.extend_from_slice(&FP_XSTATE_MAGIC2.to_le_bytes());
    area
}

/// The state in which a handler begins: that of a new program, but for protection keys.
#[must_use]
pub fn at_handler_entry(state: &[u8]) -> Vec<u8> {
    let mut fresh = state.to_vec();
    if fresh.len() < LEGACY {
        return fresh;
    }
    let mxcsr_mask = fresh[28..32].to_vec();
    fresh[..SOFTWARE].fill(0);
    put(&mut fresh, 0, &INITIAL_FCW.to_le_bytes());
    put(&mut fresh, 24, &INITIAL_MXCSR.to_le_bytes());
    put(&mut fresh, 28, &mxcsr_mask);
    if fresh.len() >= HEADER_END {
        let kept = word(&fresh, LEGACY).unwrap_or(0) & PROTECTION_KEYS;
        put(&mut fresh, LEGACY, &(LEGACY_FEATURES | kept).to_le_bytes());
    }
    fresh
}

/// The description of a frame's vector area: how much to read, read before the area itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// The legacy area only.
    Legacy,
    /// This many bytes, of these features; the second magic word follows them.
    Extended {
        /// Bytes before the second magic word.
        size: usize,
        /// Features to take from the frame.
        features: u64,
    },
}

/// Reads `_fpx_sw_bytes` out of a frame's legacy area, for a CPU whose state is like `current`.
#[must_use]
pub fn extent(legacy: &[u8; LEGACY], current: &[u8]) -> Extent {
    let half = |at: usize| u32::from_le_bytes([legacy[at], legacy[at + 1], legacy[at + 2], legacy[at + 3]]);
    let (magic, extended, size) = (half(SOFTWARE), half(SOFTWARE + 4), half(SOFTWARE + 16));
    let features = word(legacy, SOFTWARE + 8).unwrap_or(0) & feature_mask(current);
    match usize::try_from(size) {
        Ok(size)
            if magic == FP_XSTATE_MAGIC1
                && (HEADER_END..=current.len()).contains(&size)
                && usize::try_from(extended).is_ok_and(|extended| size <= extended) =>
        {
            Extent::Extended { size, features }
        }
        _ => Extent::Legacy,
    }
}

/// The state that a frame's vector area describes, in the layout of `current`; `None` when the CPU would refuse it.
#[must_use]
pub fn from_frame(area: &[u8], extent: Extent, current: &[u8]) -> Option<Vec<u8>> {
    let mask = feature_mask(current);
    let (size, features) = match extent {
        Extent::Legacy => (LEGACY, LEGACY_FEATURES),
        Extent::Extended { size, features } => (size, features),
    };
    let expanded;
    let mut area = area.get(..size)?;
    if matches!(extent, Extent::Extended { .. }) && word(area, LEGACY + 8)? & COMPACTED != 0 {
        expanded = expand(area, mask)?;
        area = &expanded;
    }
    let mut state = vec![0; current.len()];
    state.get_mut(..size)?.copy_from_slice(area);
    let mut used = LEGACY_FEATURES;
    if let Extent::Extended { .. } = extent {
        let header = word(area, LEGACY)?;
        // The CPU does not look at the header's last forty bytes.
        let reserved_clear = area[LEGACY + 8..LEGACY + 24].iter().all(|&byte| byte == 0);
        if header & !mask != 0 || !reserved_clear {
            return None;
        }
        used = header & features;
    }
    let mxcsr = u32::from_le_bytes([area[24], area[25], area[26], area[27]]);
    if mxcsr & !mxcsr_mask(current) != 0 {
        return None;
    }
    // The current state's, not the frame's: how long it is and which features it has.
    state[SOFTWARE..LEGACY].copy_from_slice(current.get(SOFTWARE..LEGACY)?);
    state[28..32].copy_from_slice(current.get(28..32)?);
    reset_unused_legacy(&mut state, used);
    if state.len() >= HEADER_END {
        put(&mut state, LEGACY, &(used | LEGACY_FEATURES).to_le_bytes());
        state[LEGACY + 8..HEADER_END].fill(0);
    }
    Some(state)
}

/// An area of the same size in the standard layout; `None` when the CPU would refuse this one. Linux has the CPU load the
/// frame, which takes the compacted layout too where it has one.
fn expand(area: &[u8], mask: u64) -> Option<Vec<u8>> {
    let (header, compaction) = (word(area, LEGACY)?, word(area, LEGACY + 8)?);
    let features = compaction & !COMPACTED;
    let reserved_clear = area.get(LEGACY + 16..HEADER_END)?.iter().all(|&byte| byte == 0);
    if !vectors::compacts() || features & !mask != 0 || header & !features != 0 || !reserved_clear {
        return None;
    }
    let mut expanded = vec![0; area.len()];
    expanded[..LEGACY + 8].copy_from_slice(&area[..LEGACY + 8]);
    if header & 2 == 0 {
        put(&mut expanded, 24, &INITIAL_MXCSR.to_le_bytes());
    }
    let mut at = HEADER_END;
    for feature in (2..63).filter(|feature| features >> feature & 1 == 1) {
        let part = vectors::part(feature)?;
        if part.aligned {
            at = at.next_multiple_of(64);
        }
        if header >> feature & 1 == 1 {
            let bytes = area.get(at..at + part.size)?;
            expanded.get_mut(part.offset..part.offset + part.size)?.copy_from_slice(bytes);
        }
        at += part.size;
    }
    Some(expanded)
}

/// The state after rt_sigreturn of a frame without a vector area.
#[must_use]
pub fn initial(current: &[u8]) -> Vec<u8> {
    at_handler_entry(current)
}

/// Features that the header leaves out are in their initial state, whatever the legacy area holds.
fn reset_unused_legacy(state: &mut [u8], used: u64) {
    if used & 1 == 0 {
        state[..24].fill(0);
        state[32..160].fill(0);
        put(state, 0, &INITIAL_FCW.to_le_bytes());
    }
    if used & 2 == 0 {
        state[160..416].fill(0);
        if used & 4 == 0 {
            put(state, 24, &INITIAL_MXCSR.to_le_bytes());
        }
    }
}

/// XCR0 as the platform reports it at offset 464; without that, the features that the state itself has.
fn feature_mask(state: &[u8]) -> u64 {
    match word(state, SOFTWARE) {
        Some(mask) if mask & LEGACY_FEATURES == LEGACY_FEATURES => mask,
        _ => word(state, LEGACY).unwrap_or(0) | LEGACY_FEATURES,
    }
}

fn mxcsr_mask(state: &[u8]) -> u32 {
    match state.get(28..32) {
        Some(&[a, b, c, d]) if [a, b, c, d] != [0; 4] => u32::from_le_bytes([a, b, c, d]),
        _ => DEFAULT_MXCSR_MASK,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let mut word = [0; 8];
    word.copy_from_slice(bytes.get(at..at.checked_add(8)?)?);
    Some(u64::from_le_bytes(word))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}
