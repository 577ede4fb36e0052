// build: static
// kvm: hardware
// Far jumps, calls and returns: to 64-bit user code and nowhere else, whatever the selector.
#include "trap.h"

static const unsigned high[] = {0x80, 0x83, 0x1000, 0x7fff, 0x8000, 0xfff8, 0xfffc, 0xffff};

static char *low_stack;

static void transfer(const char *name, const void *code, unsigned selector)
{
    // 0x20 to 0x23 are 32-bit user code; entry 15 of Linux's table is its own affair.
    if (selector - 0x20 < 4 || (selector & 0xfff8) == 0x78)
        return;
    Registers registers = {.rax = selector, .rbx = 0x2b, .rsi = (unsigned long)low_stack};
    bool ran = trap_run(code, registers);
    if (ran)
        printf("%s to %x: arrives\n", name, selector);
    else if (trap_seen.signal != SIGSEGV || trap_seen.trap != 13 ||
             trap_seen.error != (selector & 0xfffc))
        printf("%s to %x: trap=%ld error=%lx\n", name, selector, trap_seen.trap, trap_seen.error);
}

// Pointers of 32 bits are enough: a static program lies low, and so does the stack of far calls.
#define JUMP                                                                                       \
    "mov %%eax, -4(%%rsp)\n lea 1f(%%rip), %%edx\n mov %%edx, -8(%%rsp)\n ljmp *-8(%%rsp)\n 1:"
#define CALL                                                                                       \
    "mov %%rsp, %%r8\n mov %%rsi, %%rsp\n"                                                         \
    "mov %%eax, -4(%%rsp)\n lea 1f(%%rip), %%edx\n mov %%edx, -8(%%rsp)\n lcall *-8(%%rsp)\n"      \
    "jmp 2f\n 1: lretl\n 2: mov %%r8, %%rsp"
#define RETURN "push %%rax\n lea 1f(%%rip), %%edx\n push %%rdx\n lretq\n 1:"
#define IRET                                                                                       \
    "mov %%rsp, %%rcx\n push %%rbx\n push %%rcx\n pushf\n push %%rax\n lea 1f(%%rip), %%edx\n"     \
    "push %%rdx\n iretq\n 1:"

static void transfer_all(unsigned selector)
{
    transfer("jump", CODE(JUMP), selector);
    transfer("call", CODE(CALL), selector);
    transfer("return", CODE(RETURN), selector);
    transfer("iret", CODE(IRET), selector);
    // The stack's selector is the one that is tried.
    transfer("iret with stack", CODE("mov %%rax, %%rbx\n mov $0x33, %%eax\n" IRET), selector);
}

int main(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT;
    low_stack = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, -1, 0)) + 4096;
    for (unsigned selector = 0; selector < 0x78; selector++)
        transfer_all(selector);
    for (size_t i = 0; i < sizeof high / sizeof *high; i++)
        transfer_all(high[i]);
    // With the address in the instruction, they are gone in 64-bit code.
    TRY("jump to a constant", ".byte 0xea, 0, 0, 0, 0, 0x33, 0");
    TRY("call of a constant", ".byte 0x9a, 0, 0, 0, 0, 0x33, 0");
    return guest_status();
}
