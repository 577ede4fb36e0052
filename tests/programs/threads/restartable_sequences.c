// rseq: registration, the CPU's number, and sequences that start over when a signal or another thread comes in between
#include "../guest.h"
#include <linux/rseq.h>
#include <stddef.h>
#include <sys/ucontext.h>
#include <sys/time.h>

enum { SIGNATURE = 0x53053053 };

extern const ptrdiff_t __rseq_offset;
extern const unsigned __rseq_size;
static struct rseq area, second;
static _Atomic int signals, turns;
static _Atomic bool stop;

static long rseq(struct rseq *at, unsigned length, int flags, unsigned signature)
{
    return syscall(SYS_rseq, at, length, flags, signature);
}

// Spins in a restartable sequence until it is aborted; how often it was. Nothing else ends it.
static int spin_until_aborted(struct rseq *own)
{
    static struct rseq_cs descriptor __attribute__((aligned(32)));
    int aborts = 0;
    __asm__ volatile(
        "lea 1f(%%rip), %%rax\n\t"
        "mov %%rax, 8(%[descriptor])\n\t"  // start_ip
        "lea 2f(%%rip), %%rcx\n\t"
        "sub %%rax, %%rcx\n\t"
        "mov %%rcx, 16(%[descriptor])\n\t" // post_commit_offset
        "lea 4f(%%rip), %%rax\n\t"
        "mov %%rax, 24(%[descriptor])\n\t" // abort_ip
        "mov %[descriptor], 8(%[own])\n\t"
        "1: pause\n\t"
        "jmp 1b\n\t"
        "2: ud2\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"       // ud1 <signature>(%%rip), %%edi
        ".long %c[signature]\n\t"
        "4: incl %[aborts]\n\t"
        : [aborts] "+r"(aborts), "+m"(*own), "+m"(descriptor)
        : [descriptor] "r"(&descriptor), [own] "r"(own), [signature] "i"(SIGNATURE)
        : "rax", "rcx", "memory");
    return aborts;
}

static void count(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    signals++;
}

static void *keep_busy(void *argument)
{
    (void)argument;
    while (!stop)
        turns++;
    return NULL;
}

static void use_one_cpu(void)
{
    cpu_set_t set;
    MUST(sched_getaffinity(0, sizeof set, &set));
    for (int cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && found++)
            CPU_CLR(cpu, &set);
    MUST(sched_setaffinity(0, sizeof set, &set));
}

static void *in_thread(void *argument)
{
    struct rseq *library = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    CHECK(library->cpu_id == (unsigned)sched_getcpu());
    SHOW(rseq(library, sizeof area, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    SHOW(rseq(&second, sizeof second, 0, SIGNATURE));
    return argument;
}

int main(void)
{
    use_one_cpu();
    // The C library has registered an area for each thread already.
    struct rseq *library = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    CHECK(__rseq_size > 0);
    CHECK(library->cpu_id == (unsigned)sched_getcpu() && library->cpu_id_start == library->cpu_id);
    pthread_join(guest_thread(in_thread, NULL), NULL);
    SHOW(rseq(&area, sizeof area, 0, SIGNATURE));
    SHOW(rseq(library, sizeof area, 0, SIGNATURE));
    SHOW(rseq(library, sizeof area, RSEQ_FLAG_UNREGISTER, 1));
    SHOW(rseq(library, 16, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    SHOW(rseq(library, sizeof area, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    CHECK(library->cpu_id == (unsigned)RSEQ_CPU_ID_UNINITIALIZED);
    SHOW(rseq(library, sizeof area, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    SHOW(rseq(&area, 16, 0, SIGNATURE));
    SHOW(rseq((struct rseq *)((char *)&area + 8), sizeof area, 0, SIGNATURE));
    SHOW(rseq(&area, sizeof area, 4, SIGNATURE));
    SHOW(rseq((struct rseq *)(uintptr_t)0xffff800000000000, sizeof area, 0, SIGNATURE));
    area.cpu_id = 12345;
    SHOW(rseq(&area, sizeof area, 0, SIGNATURE));
    CHECK(area.cpu_id == (unsigned)sched_getcpu() && area.cpu_id_start == area.cpu_id);

    // A signal in the middle of the sequence.
    guest_handle_info(SIGALRM, count, 0);
    struct itimerval soon = {.it_value.tv_usec = 5000};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    while (!signals) // anybody else's turn on the CPU ends it, too
        if (spin_until_aborted(&area) != 1)
            return 2;
    SHOW(signals);
    CHECK(area.rseq_cs == 0);

    // Another thread in the middle of it.
    pthread_t other = guest_thread(keep_busy, NULL);
    while (!turns)
        if (spin_until_aborted(&area) != 1)
            return 2;
    SHOW(signals);
    stop = true;
    pthread_join(other, NULL);
    SHOW(rseq(&area, sizeof area, RSEQ_FLAG_UNREGISTER, SIGNATURE));
    return guest_status();
}
