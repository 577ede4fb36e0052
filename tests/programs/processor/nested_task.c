// kvm: hardware
// The nested task flag: iret is refused with it, system calls and signals are not.
#include "trap.h"

#define SET "pushf\n orl $0x4000, (%%rsp)\n popf\n"
#define FRAME                                                                                      \
    "mov %%rsp, %%rcx\n push $0x2b\n push %%rcx\n push $0x202\n push $0x33\n lea 1f(%%rip), "      \
    "%%rdx\n push %%rdx\n"

int main(void)
{
    TRY("iretq", SET FRAME "iretq\n 1:");
    TRY("iretq without", FRAME "iretq\n 1:");
    TRY("system call, then iretq", SET "syscall\n" FRAME "iretq\n 1:", .rax = SYS_getpid);
    TRY("system call", SET "syscall", .rax = SYS_getpid);
    CHECK(trap_after.rflags & FLAG_NESTED_TASK);
    TRY("far return",
        SET "mov %%cs, %%eax\n push %%rax\n lea 1f(%%rip), %%rdx\n push %%rdx\n lretq\n 1:");
    TRY("fault", SET "mov (%%rax), %%eax", .rax = 8);
    CHECK(trap_seen.rflags & FLAG_NESTED_TASK);
    return guest_status();
}
