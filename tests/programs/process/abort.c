// exit: SIGABRT
// abort: kills with SIGABRT even when the handler returns and the signal is blocked.
#include "../guest.h"

static void on_abort(int signal_number)
{
    (void)signal_number;
    puts("handler");
}

int main(void)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGABRT);
    MUST(sigprocmask(SIG_BLOCK, &mask, NULL));
    guest_handle(SIGABRT, on_abort, 0);
    puts("before");
    abort();
}
