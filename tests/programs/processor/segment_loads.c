// Segment registers: which selectors can be loaded, and what each refusal says.
#include "trap.h"

static const unsigned high[] = {0x80, 0x83, 0xf8, 0x1000, 0x7fff, 0x8000, 0xfff8, 0xfffc, 0xffff};

// Loads a selector, reads it back, and leaves the register empty.
#define LOAD(name)                                                                                 \
    CODE("mov %%eax, %%" name "\n mov %%" name ", %%ebx\n xor %%eax, %%eax\n mov %%eax, %%" name)

static void load(const char *name, const void *code, unsigned selector)
{
    bool ran = trap_run(code, (Registers){.rax = selector});
    if (ran)
        printf("%s=%x: loads %lx\n", name, selector, trap_after.rbx);
    else if (trap_seen.signal != SIGSEGV || trap_seen.trap != 13 ||
             trap_seen.error != (selector & 0xfffc) || trap_seen.offset)
        printf("%s=%x: offset=%ld trap=%ld error=%lx\n", name, selector, trap_seen.offset,
               trap_seen.trap, trap_seen.error);
}

static void load_all(unsigned selector)
{
    load("ds", LOAD("ds"), selector);
    load("es", LOAD("es"), selector);
    load("gs", LOAD("gs"), selector);
    load("ss", CODE("mov %%eax, %%ss\n mov %%ss, %%ebx"), selector);
    // FS leads to the thread's data, of which C code knows nothing meanwhile.
    load("fs",
         CODE("mov %%eax, %%fs\n mov %%fs, %%ebx\n mov $158, %%eax\n mov $0x1002, %%edi\n"
              "mov trap_thread_pointer(%%rip), %%rsi\n syscall"),
         selector);
}

int main(void)
{
    for (unsigned selector = 0; selector < 0x78; selector++)
        load_all(selector);
    // Entry 15 of Linux's table tells the processor's number: whether it can be loaded is no
    // matter.
    for (size_t i = 0; i < sizeof high / sizeof *high; i++)
        load_all(high[i]);
    // cs cannot be loaded like this at all.
    TRY("mov to cs", ".byte 0x8e, 0xc8", .rax = 0x33);
    return guest_status();
}
