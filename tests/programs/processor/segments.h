// Shared by the programs that load segment registers.
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "trap.h"

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

#endif
