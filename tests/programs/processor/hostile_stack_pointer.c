// A stack pointer that points nowhere: the stack is refused when it is used, a system call does not
// use it.
#include "trap.h"

static const unsigned long pointers[] = {
    0,
    8,
    0x0000800000000000,
    0x1234567812345678,
    0xffff7fffffffffff,
    0xffff888000000000,
    0xffffffffffffffff,
};

// r8 keeps the right one.
#define WITH(text) "mov %%rsp, %%r8\n mov %%rbx, %%rsp\n" text "\n mov %%r8, %%rsp"

int main(void)
{
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        unsigned long at = pointers[i];
        printf("%lx\n", at);
        trap_expected = at - 8;
        TRY("push", WITH("push %%rax"), .rbx = at);
        TRY("call", WITH("call 1f\n 1:"), .rbx = at);
        trap_expected = at;
        TRY("pop", WITH("pop %%rax"), .rbx = at);
        TRY("return", WITH("ret"), .rbx = at);
        TRY("load", WITH("mov (%%rsp), %%rax"), .rbx = at);
        TRY("frame pointer", WITH("mov %%rsp, %%rdx\n xchg %%rdx, %%rbp\n mov (%%rbp), %%rax"),
            .rbx = at);
        TRY("system call", WITH("syscall\n mov %%rsp, %%rdx"), .rbx = at, .rax = SYS_getpid);
        CHECK(trap_after.rax == (unsigned long)getpid() && trap_after.rdx == at);
        TRY("system call that fails", WITH("syscall"), .rbx = at, .rax = 9999);
        CHECK(trap_after.rax == -38ul);
        TRY("exception", WITH("ud2"), .rbx = at);
        CHECK(trap_seen.rsp == at);
    }
    return guest_status();
}
