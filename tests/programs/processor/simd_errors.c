// SSE exceptions that a program has unmasked: told at once, with the reason.
#include "trap.h"

__attribute__((used)) static unsigned control;
__attribute__((used)) static double zero, tiny = 1e-308, huge = 1e308, one = 1, three = 3;
__attribute__((used)) static double smallest = 4.9e-324;

#define TRY_SSE(what, text, unmasked)                                                              \
    do {                                                                                           \
        control = 0x1f80 & ~((unmasked) << 7);                                                     \
        TRY(what, "ldmxcsr control(%%rip)\n" text);                                                \
        control = 0x1f80;                                                                          \
        trap_run(CODE("ldmxcsr control(%%rip)"), (Registers){});                                   \
    } while (0)

int main(void)
{
    TRY_SSE("invalid", "movsd zero(%%rip), %%xmm0\n divsd %%xmm0, %%xmm0", 1);
    TRY_SSE("denormal", "movsd smallest(%%rip), %%xmm0\n addsd one(%%rip), %%xmm0", 2);
    TRY_SSE("division", "movsd one(%%rip), %%xmm0\n divsd zero(%%rip), %%xmm0", 4);
    TRY_SSE("overflow", "movsd huge(%%rip), %%xmm0\n mulsd %%xmm0, %%xmm0", 8);
    TRY_SSE("underflow", "movsd tiny(%%rip), %%xmm0\n mulsd %%xmm0, %%xmm0", 16);
    TRY_SSE("inexact", "movsd one(%%rip), %%xmm0\n divsd three(%%rip), %%xmm0", 32);
    TRY_SSE("masked", "movsd one(%%rip), %%xmm0\n divsd zero(%%rip), %%xmm0", 0);
    TRY_SSE("no reason", "movsd one(%%rip), %%xmm0\n addsd one(%%rip), %%xmm0", 63);
    return guest_status();
}
