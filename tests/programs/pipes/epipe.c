// EPIPE: with SIGPIPE ignored, blocked, and handled.
#include "../guest.h"

static volatile sig_atomic_t handled;

static void on_signal(int signal_number)
{
    handled = signal_number;
}

int main(void)
{
    int ends[2];
    MUST(pipe(ends));
    MUST(close(ends[0]));
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(ends[1], "x", 1));
    // Nothing to write is no reason to complain.
    SHOW(write(ends[1], "x", 0));

    sigset_t mask, pending;
    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE);
    MUST(sigprocmask(SIG_BLOCK, &mask, NULL));
    guest_handle(SIGPIPE, on_signal, 0);
    SHOW(write(ends[1], "x", 1));
    MUST(sigpending(&pending));
    SHOW(sigismember(&pending, SIGPIPE));
    SHOW(handled);
    MUST(sigprocmask(SIG_UNBLOCK, &mask, NULL));
    CHECK(handled == SIGPIPE);
    handled = 0;
    SHOW(write(ends[1], "x", 1));
    CHECK(handled == SIGPIPE);
    return guest_status();
}
