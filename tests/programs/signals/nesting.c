// Handlers and their masks: the own signal waits, SA_NODEFER lets it in, sa_mask holds others.
#include "../guest.h"

static volatile sig_atomic_t depth, deepest, wanted;

static void on_signal(int signal_number)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (wanted-- > 0)
        raise(signal_number);
    depth--;
}

static void on_first(int signal_number)
{
    printf("first begins %d\n", signal_number == SIGUSR1);
    raise(SIGUSR2);
    puts("first ends");
}

static void on_second(int signal_number)
{
    printf("second %d\n", signal_number == SIGUSR2);
}

int main(void)
{
    sigset_t mask;
    guest_handle(SIGUSR1, on_signal, 0);
    wanted = 3;
    raise(SIGUSR1);
    printf("deepest=%d left=%d\n", deepest, wanted);
    deepest = 0;
    guest_handle(SIGUSR1, on_signal, SA_NODEFER);
    wanted = 3;
    raise(SIGUSR1);
    printf("deepest=%d left=%d\n", deepest, wanted);

    struct sigaction action = {.sa_handler = on_first};
    guest_handle(SIGUSR2, on_second, 0);
    MUST(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    sigaddset(&action.sa_mask, SIGUSR2);
    MUST(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    // Afterwards the mask is what it was.
    MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
    CHECK(sigisemptyset(&mask));
    return guest_status();
}
