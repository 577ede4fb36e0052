// The upper half of the address space and the page below it: reading, writing and running are
// faults, of which nothing can be learnt.
#include "trap.h"

static const unsigned long addresses[] = {
    0x00007ffffffff000, 0x00007fffffffffff, 0xffff800000000000, 0xffff888000000000,
    0xffffc90000000000, 0xffffea0000000000, 0xfffffe0000000000, 0xfffffe0000001000,
    0xffffff0000000000, 0xffffffff80000000, 0xffffffff81000000, 0xffffffffa0000000,
    0xffffffffff5ff000, 0xffffffffff601000, 0xfffffffffffff000, 0xffffffffffffffff,
};

int main(void)
{
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        unsigned long at = trap_expected = addresses[i];
        printf("%lx\n", at);
        TRY("read", "mov (%%rsi), %%al", .rsi = at);
        TRY("write", "mov %%al, (%%rsi)", .rsi = at);
        TRY("change", "lock incb (%%rsi)", .rsi = at);
        TRY("run", "jmp *%%rsi", .rsi = at);
        TRY("copy from", "rep movsb", .rsi = at, .rdi = (unsigned long)&trap_after, .rcx = 1);
        TRY("copy to", "rep stosb", .rdi = at, .rcx = 1);
    }
    // The page of old programs' system calls may be run at three places, and nothing else.
    trap_expected = 0xffffffffff600000;
    TRY("read the vsyscall page", "mov (%%rsi), %%al", .rsi = trap_expected);
    TRY("write the vsyscall page", "mov %%al, (%%rsi)", .rsi = trap_expected);
    trap_expected += 8;
    CHECK(!trap_run(CODE("jmp *%%rsi"), (Registers){.rsi = trap_expected}));
    CHECK(trap_seen.signal == SIGSEGV);
    // The lowest addresses are nobody's.
    for (unsigned long at = 0; at < 0x10000; at += 0x1000) {
        trap_expected = at;
        bool any = trap_run(CODE("mov (%%rsi), %%al"), (Registers){.rsi = at}) ||
                   trap_run(CODE("mov %%al, (%%rsi)"), (Registers){.rsi = at}) ||
                   trap_run(CODE("jmp *%%rsi"), (Registers){.rsi = at});
        if (any || trap_seen.trap != 14 || trap_seen.error != 0x14 || trap_seen.address != at)
            trap_show("low");
    }
    return guest_status();
}
