// kvm: hardware
// int N: a breakpoint and an overflow for 3 and 4, refused for all others (0x80, the 32-bit system
// call, is left out).
#include "trap.h"

int main(void)
{
    unsigned char *code = (unsigned char *)guest_map(4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    int refused = 0;
    memcpy(code, "\xcd\x00\xc3", 3);
    for (int number = 0; number < 256; number++) {
        if (number == 0x80)
            continue;
        code[1] = (unsigned char)number;
        bool ran = trap_run(code, (Registers){});
        if (!ran && trap_seen.signal == SIGSEGV && trap_seen.code == SI_KERNEL &&
            trap_seen.address == 0 && trap_seen.offset == 0 && trap_seen.trap == 13 &&
            trap_seen.error == number * 8 + 2) {
            refused++;
            continue;
        }
        printf("int %d, stopped at %ld: ", number, ran ? -1 : trap_seen.offset);
        trap_show("it");
    }
    SHOW(refused);
    return guest_status();
}
