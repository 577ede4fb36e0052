// Instructions that there are not: each is a SIGILL at its own address, however it begins.
#include "trap.h"

int main(void)
{
    TRY("ud2", "ud2");
    TRY("ud1", ".byte 0x0f, 0xb9, 0xc0");
    TRY("ud0", ".byte 0x0f, 0xff, 0xc0");
    TRY("push es", ".byte 0x06");
    TRY("pop ds", ".byte 0x1f");
    TRY("daa", ".byte 0x27");
    TRY("aaa", ".byte 0x37");
    TRY("pusha", ".byte 0x60");
    TRY("salc", ".byte 0xd6");
    TRY("lock with a register", ".byte 0xf0, 0x01, 0xc0");
    TRY("lock of a load", ".byte 0xf0, 0x8b, 0x00", .rax = (unsigned long)&trap_expected);
    TRY("lock of nothing", ".byte 0xf0, 0x90");
    TRY("mov from no segment", ".byte 0x8c, 0xf0");
    TRY("behind prefixes", ".byte 0x66, 0xf2, 0x2e, 0x48, 0x0f, 0x0b");
    TRY("fifteen bytes", ".fill 14, 1, 0x66\n nop");
    TRY("sixteen bytes", ".fill 15, 1, 0x66\n nop");
    TRY("many bytes", ".fill 40, 1, 0x66\n nop");
    return guest_status();
}
