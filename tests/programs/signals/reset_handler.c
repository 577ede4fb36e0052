// exit: SIGUSR1
// SA_RESETHAND: the handler runs once; the second signal takes the default action.
#include "../guest.h"

static void on_signal(int signal_number)
{
    struct sigaction now;
    MUST(sigaction(signal_number, NULL, &now));
    // Reset before the handler runs, so that a fault in it cannot loop.
    CHECK(now.sa_handler == SIG_DFL);
}

int main(void)
{
    guest_handle(SIGUSR1, on_signal, SA_RESETHAND);
    raise(SIGUSR1);
    puts("survived the first");
    raise(SIGUSR1);
    puts("survived the second");
    return guest_status();
}
