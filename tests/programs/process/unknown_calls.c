// System calls that do not exist are ENOSYS, whatever their arguments.
#include "../guest.h"

int main(void)
{
    SHOW(syscall(9999));
    SHOW(syscall(9999, -1, -1, -1, -1, -1, -1));
    SHOW(syscall(-1));
    SHOW(syscall(0x7fffffff));
    // Numbers in the gap of the table, and a call removed long ago.
    SHOW(syscall(350));
    SHOW(syscall(400));
    SHOW(syscall(SYS_create_module, NULL, 0));
    // The upper half of the register does not count on x86-64.
    CHECK(syscall(0x100000000 | SYS_getpid) == getpid());
    return guest_status();
}
