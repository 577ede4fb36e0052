// sigaltstack: handlers run there, nested ones too; SS_AUTODISARM; refusals.
#include "../guest.h"

static char *stack;
enum { SIZE = 65536 };

static bool on_it(const void *address)
{
    return (const char *)address >= stack && (const char *)address < stack + SIZE;
}

static void on_signal(int signal_number)
{
    stack_t now;
    int local = 0;
    MUST(sigaltstack(NULL, &now));
    printf("on the stack: %d, flags %x\n", on_it(&local), now.ss_flags);
    // In use it cannot be changed.
    stack_t other = {.ss_sp = stack, .ss_size = SIZE};
    SHOW(sigaltstack(&other, NULL));
    if (signal_number == SIGUSR1)
        raise(SIGUSR2);
}

static void on_main_stack(int signal_number)
{
    int local = signal_number;
    CHECK(!on_it(&local));
}

static void on_disarmed(int signal_number)
{
    stack_t now;
    (void)signal_number;
    MUST(sigaltstack(NULL, &now));
    printf("flags %x\n", now.ss_flags);
}

int main(void)
{
    stack_t now, set;
    stack = guest_map(SIZE, PROT_READ | PROT_WRITE);
    MUST(sigaltstack(NULL, &now));
    SHOW(now.ss_flags);
    set = (stack_t){.ss_sp = stack, .ss_size = SIZE};
    SHOW(sigaltstack(&set, NULL));
    guest_handle(SIGUSR1, on_signal, SA_ONSTACK);
    guest_handle(SIGUSR2, on_signal, SA_ONSTACK);
    raise(SIGUSR1);
    guest_handle(SIGUSR1, on_main_stack, 0);
    raise(SIGUSR1);
    MUST(sigaltstack(NULL, &now));
    CHECK(now.ss_sp == stack && now.ss_size == SIZE && now.ss_flags == 0);

    set.ss_flags = (int)(1u << 31); // SS_AUTODISARM
    SHOW(sigaltstack(&set, NULL));
    guest_handle(SIGUSR1, on_disarmed, SA_ONSTACK);
    raise(SIGUSR1);
    MUST(sigaltstack(NULL, &now));
    CHECK(now.ss_sp == stack);
    set = (stack_t){.ss_sp = stack, .ss_size = 1000};
    SHOW(sigaltstack(&set, NULL));
    set = (stack_t){.ss_sp = stack, .ss_size = SIZE, .ss_flags = 99};
    SHOW(sigaltstack(&set, NULL));
    set.ss_flags = SS_DISABLE;
    SHOW(sigaltstack(&set, NULL));
    MUST(sigaltstack(NULL, &now));
    SHOW(now.ss_flags);
    return guest_status();
}
