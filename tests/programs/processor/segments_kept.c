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

static volatile int over;

static bool keeps(unsigned long selector)
{
    unsigned long call = SYS_sched_yield, ds, es;
    asm volatile("mov %k[selector], %%ds\n mov %k[selector], %%es\n syscall\n"
                 "mov %%ds, %k[ds]\n mov %%es, %k[es]\n"
                 "xor %%ecx, %%ecx\n mov %%ecx, %%ds\n mov %%ecx, %%es"
                 : "+a"(call), [ds] "=&r"(ds), [es] "=&r"(es)
                 : [selector] "r"(selector)
                 : "rcx", "r11", "memory");
    return ds == selector && es == selector;
}

// Runs meanwhile, with other segments, and says nothing: what two threads print comes in any order.
static void *other(void *unused)
{
    (void)unused;
    bool kept = true;
    do
        kept &= keeps(0x33);
    while (!over);
    return (void *)(long)kept;
}

int main(void)
{
    show(0, SYS_getpid);
    show(0x2b, SYS_getpid);
    show(0x33, SYS_getpid);
    pthread_t thread = guest_thread(other, NULL);
    show(0x2b, SYS_sched_yield);
    over = 1;
    void *kept;
    pthread_join(thread, &kept);
    printf("the other thread's: %ld\n", (long)kept);
    return guest_status();
}
