// exit: SIGSEGV
// A restartable sequence whose abort handler lacks the signature kills the program when it is interrupted
#include "../guest.h"
#include <linux/rseq.h>
#include <stddef.h>
#include <sys/time.h>

extern const ptrdiff_t __rseq_offset;

static void ignore(int number) { (void)number; }

int main(void)
{
    struct rseq *library = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    static struct rseq_cs descriptor __attribute__((aligned(32)));
    descriptor.start_ip = (uintptr_t)main;
    descriptor.post_commit_offset = 16;
    descriptor.abort_ip = (uintptr_t)ignore;
    guest_handle(SIGALRM, ignore, 0);
    struct itimerval soon = {.it_value.tv_usec = 5000};
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    puts("spinning");
    library->rseq_cs = (uintptr_t)&descriptor;
    for (;;)
        __asm__ volatile("pause" ::: "memory");
}
