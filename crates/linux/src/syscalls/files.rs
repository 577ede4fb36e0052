//! x
use crate::call::{Call, SyscallResult};
/// write(2)
pub fn write(call: &mut Call<'_>) -> SyscallResult {
    let n = call.size(2)?;
    let a = call.args[1];
    let b = call.memory().read_vec(a, n)?;
    let id = call.description_id(call.int(0))?;
    let r = call.kernel.with_object(call.host, id, |o, c| o.write(c, &b, None))?;
    Ok(r as u64)
}
