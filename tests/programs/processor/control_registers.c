// Control and debug registers are out of reach, for reading and writing.
#include "trap.h"

#define BOTH(name)                                                                                 \
    do {                                                                                           \
        TRY("read " name, "mov %%" name ", %%rax");                                                \
        TRY("write " name, "mov %%rax, %%" name);                                                  \
    } while (0)

int main(void)
{
    BOTH("cr0");
    BOTH("cr2");
    BOTH("cr3");
    BOTH("cr4");
    BOTH("cr8");
    BOTH("dr0");
    BOTH("dr3");
    BOTH("dr6");
    BOTH("dr7");
    // These do not exist at all.
    TRY("read cr1", ".byte 0x0f, 0x20, 0xc8");
    TRY("write cr7", ".byte 0x0f, 0x22, 0xf8");
    return guest_status();
}
