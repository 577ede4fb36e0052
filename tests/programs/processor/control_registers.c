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
    return guest_status();
}
