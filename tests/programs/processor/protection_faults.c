// kvm: hardware
// What must be aligned always, and modes that there are not: a fault, and nothing has happened.
#include "trap.h"

static char memory[1024] __attribute__((aligned(64)));
__attribute__((used)) static unsigned reserved = 0xffff1f80;

int main(void)
{
    unsigned long odd = (unsigned long)memory + 8;
    TRY("fxsave", "fxsave (%%rsi)", .rsi = odd);
    TRY("fxrstor", "fxrstor (%%rsi)", .rsi = odd);
    TRY("xsave", "xsave (%%rsi)", .rsi = odd, .rax = 3);
    TRY("cmpxchg16b", "cmpxchg16b (%%rsi)", .rsi = odd);
    TRY("movntdq", "movntdq %%xmm0, (%%rsi)", .rsi = odd);
    TRY("reserved modes", "ldmxcsr reserved(%%rip)");
    static char zero[sizeof memory];
    CHECK(memcmp(memory, zero, sizeof memory) == 0);
    return guest_status();
}
