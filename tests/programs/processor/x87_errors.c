// x87 exceptions that a program has unmasked: told by the next x87 instruction, with the reason.
#include "trap.h"

__attribute__((used)) static unsigned short control;
__attribute__((used)) static double zero, tiny = 1e-308, huge = 1e308, one = 1, three = 3;
__attribute__((used)) static long double tiniest = 3.3621e-4932L, hugest = 1.18e4932L;

// Unmasks all, computes, and waits for the exception.
#define TRY_X87(what, text, masks)                                                                 \
    do {                                                                                           \
        control = 0x340 | (masks);                                                                 \
        TRY(what, "fninit\n fldcw control(%%rip)\n" text "\n fwait");                              \
    } while (0)

int main(void)
{
    TRY_X87("invalid", "fldl zero(%%rip)\n fdivl zero(%%rip)", 0x3e);
    TRY_X87("stack empty", "fstp %%st(0)", 0x3e);
    TRY_X87("denormal", "fldl tiny(%%rip)\n fmull one(%%rip)", 0x3d);
    TRY_X87("division", "fldl one(%%rip)\n fdivl zero(%%rip)", 0x3b);
    TRY_X87("overflow", "fldt hugest(%%rip)\n fmull huge(%%rip)", 0x37);
    TRY_X87("underflow", "fldt tiniest(%%rip)\n fmull tiny(%%rip)", 0x2f);
    TRY_X87("inexact", "fldl one(%%rip)\n fdivl three(%%rip)", 0x1f);
    TRY_X87("masked", "fldl one(%%rip)\n fdivl zero(%%rip)\n fldl zero(%%rip)\n fdivl zero(%%rip)",
            0x3f);
    // The exception waits through a system call, and is told after it.
    control = 0x37b;
    TRY("after a system call",
        "fninit\n fldcw control(%%rip)\n fldl one(%%rip)\n fdivl zero(%%rip)\n syscall\n fwait",
        .rax = SYS_getpid);
    SHOW(trap_seen.offset);
    TRY("never waited for",
        "fninit\n fldcw control(%%rip)\n fldl one(%%rip)\n fdivl zero(%%rip)\n fnclex\n fwait");
    return guest_status();
}
