// Endless recursion faults at the stack's end; a handler on another stack sees it and leaves.
#include "../guest.h"
#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf back;
static volatile uintptr_t fault_address, deepest;

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)context;
    (void)signal_number;
    fault_address = (uintptr_t)information->si_addr;
    siglongjmp(back, 1);
}

// Never returns: no stack is a million calls deep.
static __attribute__((noinline)) int descend(int depth)
{
    volatile char room[2000];
    room[0] = (char)depth;
    deepest = (uintptr_t)room;
    return depth == 1000000 ? 0 : descend(depth + 1) + room[0];
}

static void *overflow_twice(void *unused)
{
    char alternate[65536];
    (void)unused;
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    MUST(sigaltstack(&stack, NULL));
    for (volatile int round = 0; round < 2; round++) {
        if (sigsetjmp(back, 1) == 0) {
            SHOW(descend(0));
        } else {
            CHECK(llabs((long long)(fault_address - deepest)) < 16384);
        }
    }
    stack.ss_flags = SS_DISABLE;
    MUST(sigaltstack(&stack, NULL));
    return NULL;
}

int main(void)
{
    // A smaller stack than usual is quicker to fill.
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    limit.rlim_cur = 1 << 20;
    MUST(setrlimit(RLIMIT_STACK, &limit));
    guest_handle_info(SIGSEGV, on_fault, SA_ONSTACK);
    overflow_twice(NULL);
    // A thread's stack ends in a guard page instead.
    pthread_join(guest_thread(overflow_twice, NULL), NULL);
    return guest_status();
}
