// The flags that a program can set, those that it cannot, and that a system call keeps all of them.
#include "trap.h"

static const struct {
    const char *name;
    unsigned long bits;
} flags[] = {
    {"none", 0},
    {"carry, parity, adjust, zero, sign, overflow", 0x8d5},
    {"direction", FLAG_DIRECTION},
    {"resume", FLAG_RESUME},
    {"alignment", FLAG_ALIGNMENT},
    {"identification", FLAG_IDENTIFICATION},
    {"privilege level", 0x3000},
    {"virtual 8086 and interrupts", 0x1a0000},
    {"no such flags", 0xffffffffffc08028},
    {"everything else", ~(unsigned long)(FLAG_TRAP | FLAG_NESTED_TASK)},
};

int main(void)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        Registers registers = {.rax = SYS_getpid, .rbx = flags[i].bits};
        printf("%s:", flags[i].name);
        if (trap_run(CODE("push %%rbx\n popf"), registers))
            printf(" popf %lx", trap_after.rflags);
        if (trap_run(CODE("mov %%rsp, %%rcx\n push $0x2b\n push %%rcx\n push %%rbx\n push $0x33\n"
                          "lea 1f(%%rip), %%rdx\n push %%rdx\n iretq\n 1:"),
                     registers))
            printf(" iretq %lx", trap_after.rflags);
        if (trap_run(
                CODE("push %%rbx\n popf\n syscall\n 1: mov %%r11, %%rdx\n lea 1b(%%rip), %%rsi"),
                registers))
            printf(" system call %lx, r11 %lx, rcx %s", trap_after.rflags, trap_after.rdx,
                   trap_after.rcx == trap_after.rsi ? "right" : "WRONG");
        puts("");
    }
    return guest_status();
}
