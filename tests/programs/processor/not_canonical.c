// Addresses that no address can be: by any way to use them, a fault without an address, and not of
// a page.
#include "trap.h"

static const unsigned long addresses[] = {
    0x0000800000000000, 0x0000800000001000, 0x1234567812345678, 0x7fffffffffffffff,
    0x8000000000000000, 0xdeadbeefdeadbeef, 0xffff000000000000, 0xffff7fffffffffff,
};

static void try_all(unsigned long at)
{
    TRY("load", "mov (%%rsi), %%eax", .rsi = at);
    TRY("store", "mov %%eax, (%%rsi)", .rsi = at);
    TRY("load of a byte", "mov (%%rsi), %%al", .rsi = at);
    TRY("addition", "lock addl $1, (%%rsi)", .rsi = at);
    TRY("vector load", "movups (%%rsi), %%xmm0", .rsi = at);
    TRY("copy from", "movsb", .rsi = at, .rdi = (unsigned long)&trap_seen);
    TRY("copy to", "rep stosb", .rdi = at, .rcx = 1);
    TRY("copy of nothing", "rep movsb", .rsi = at, .rdi = at, .rcx = 0);
    TRY("jump", "jmp *%%rsi", .rsi = at);
    TRY("call", "call *%%rsi", .rsi = at);
    TRY("return", "push %%rsi\n ret", .rsi = at);
    TRY("address only", "lea (%%rsi), %%rax\n prefetcht0 (%%rsi)", .rsi = at);
}

int main(void)
{
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        printf("%lx\n", addresses[i]);
        try_all(addresses[i]);
    }
    return guest_status();
}
