// Division by zero and quotients that do not fit, in every width.
#include "trap.h"

int main(void)
{
    TRY("div 8", "div %%cl", .rax = 1);
    TRY("div 16", "div %%cx", .rax = 1);
    TRY("div 32", "div %%ecx", .rax = 1);
    TRY("div 64", "div %%rcx", .rax = 1);
    TRY("idiv 32", "idiv %%ecx", .rax = 1);
    TRY("idiv 64", "idiv %%rcx", .rax = 1);
    TRY("div 8 too large", "div %%cl", .rax = 0x200, .rcx = 2);
    TRY("div 64 too large", "div %%rcx", .rax = 0, .rdx = 7, .rcx = 7);
    TRY("lowest by minus one", "cltd\n idiv %%ecx", .rax = 0x80000000, .rcx = -1ul);
    TRY("lowest by minus one, 64", "cqto\n idiv %%rcx", .rax = 1ul << 63, .rcx = -1ul);
    TRY("by memory", "divl (%%rsi)", .rax = 1, .rsi = (unsigned long)&trap_expected);
    TRY("what fits", "div %%rcx", .rax = 14, .rcx = 2);
    CHECK(trap_after.rax == 7);
    // The registers are as before.
    trap_run(CODE("div %%ecx"), (Registers){.rax = 5, .rdx = 6});
    SHOW(trap_seen.offset);
    return guest_status();
}
