// A process that denies itself all of its memory, by the rights of protection key 0, ends by SIGSEGV at once. Where the CPU has no
// protection keys, or hides them, writing to those rights is an illegal instruction.
#include "../guest.h"

#include <cpuid.h>
#include <sys/wait.h>

static int has_keys(void)
{
    unsigned int a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & 1u << 4);
}

// Denies key 0 the accesses of `rights` (1 all, 2 writes), and then writes; with a handler if `handled`.
static int end(unsigned int rights, int handled)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (handled)
            signal(SIGSEGV, _exit);
        __asm__ volatile("wrpkru\n movl $1, (%%rsp)" : : "a"(rights), "c"(0), "d"(0) : "memory");
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int main(void)
{
    int expected = has_keys() ? SIGSEGV : SIGILL;
    for (unsigned int rights = 1; rights <= 3; rights++)
        CHECK(end(rights, 0) == expected);
    // The handler's stack is denied, too; from 6.12 on, Linux lets its frame be written and the handler use it.
    int ended = end(3, 1);
    CHECK(ended == expected || ended == -SIGSEGV);
    return 0;
}
