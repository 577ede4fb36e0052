// The alignment flag: an unaligned access is a SIGBUS, also after a system call; what must be
// aligned always is refused.
#include "trap.h"

static char memory[256] __attribute__((aligned(64)));

#define SET "pushf\n orl $0x40000, (%%rsp)\n popf\n"
#define TRY_AT(what, distance, text, ...)                                                          \
    TRY(what, SET text, .rsi = (unsigned long)memory + (distance), .rdi = (unsigned long)memory,   \
        __VA_ARGS__)

int main(void)
{
    TRY_AT("aligned", 8,
           "mov (%%rsi), %%rax\n mov %%eax, 4(%%rsi)\n mov 2(%%rsi), %%ax\n mov 1(%%rsi), %%al");
    TRY_AT("load of 2", 1, "mov (%%rsi), %%ax");
    TRY_AT("load of 4", 2, "mov (%%rsi), %%eax");
    TRY_AT("load of 8", 4, "mov (%%rsi), %%rax");
    TRY_AT("store of 4", 1, "mov %%eax, (%%rsi)");
    TRY_AT("store of 8", 1, "mov %%rax, (%%rsi)");
    TRY_AT("exchange", 1, "xchg %%eax, (%%rsi)");
    TRY_AT("copy", 1, "movsq");
    TRY_AT("stack", 1,
           "mov %%rsp, %%rcx\n mov %%rsi, %%rsp\n add $64, %%rsp\n push %%rcx\n pop %%rsp");
    TRY_AT("after a system call", 1, "syscall\n mov (%%rsi), %%eax", .rax = SYS_getpid);
    TRY_AT("with the flag cleared", 1,
           "pushf\n andl $~0x40000, (%%rsp)\n popf\n mov (%%rsi), %%rax");
    TRY("without the flag", "mov (%%rsi), %%rax", .rsi = (unsigned long)memory + 1);
    TRY("movaps", "movaps (%%rsi), %%xmm0", .rsi = (unsigned long)memory + 8);
    TRY("movaps on the stack", "movaps 8(%%rsp), %%xmm0\n movaps (%%rsp), %%xmm0");
    return guest_status();
}
