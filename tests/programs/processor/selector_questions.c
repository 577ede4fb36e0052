// lar, lsl, verr and verw: what a program is told about selectors it can use.
#include "trap.h"

int main(void)
{
    unsigned selectors[] = {0, 3, 0x10, 0x18, 0x2b, 0x33, 0xfff8, 0x7};
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        Registers registers = {.rcx = selectors[i]};
        printf("%x:", selectors[i]);
        trap_run(CODE("lar %%ecx, %%eax"), registers);
        printf(" rights %lx", trap_after.rflags & 0x40 ? trap_after.rax & 0xf0fe00 : 0);
        trap_run(CODE("lsl %%ecx, %%eax"), registers);
        printf(" limit %lx", trap_after.rflags & 0x40 ? trap_after.rax : 0);
        trap_run(CODE("verr %%cx"), registers);
        printf(" read %ld", trap_after.rflags >> 6 & 1);
        trap_run(CODE("verw %%cx"), registers);
        printf(" write %ld\n", trap_after.rflags >> 6 & 1);
    }
    return guest_status();
}
