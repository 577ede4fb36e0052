// Segment registers that a program has loaded are still loaded after a system call, and work.
#include "trap.h"

#define ACROSS_A_CALL                                                                              \
    "mov %%ebx, %%ds\n mov %%ebx, %%es\n mov %%ebx, %%gs\n syscall\n"                              \
    "mov %%ds, %%edx\n mov %%es, %%esi\n mov %%gs, %%edi\n push %%rdx\n mov (%%rsp), %%r8\n"       \
    "pop %%r9\n xor %%ebx, %%ebx\n mov %%ebx, %%ds\n mov %%ebx, %%es\n mov %%ebx, %%gs"

static void show(unsigned long selector, long call)
{
    bool ran =
        trap_run(CODE(ACROSS_A_CALL), (Registers){.rax = (unsigned long)call, .rbx = selector});
    printf("%d: ds=%lx es=%lx gs=%lx read=%lx\n", ran, trap_after.rdx, trap_after.rsi,
           trap_after.rdi, trap_after.r8);
}

static void *other(void *unused)
{
    (void)unused;
    sched_yield();
    show(0x33, SYS_sched_yield);
    return NULL;
}

int main(void)
{
    show(0, SYS_getpid);
    show(0x2b, SYS_getpid);
    show(0x33, SYS_getpid);
    // With another thread running meanwhile.
    pthread_t thread = guest_thread(other, NULL);
    show(0x2b, SYS_sched_yield);
    pthread_join(thread, NULL);
    return guest_status();
}
