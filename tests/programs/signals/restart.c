// SA_RESTART: a read that a handler interrupts goes on; without it, EINTR.
#include "../guest.h"
#include <sys/time.h>

static int ends[2];
static volatile sig_atomic_t handled;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    // Data comes only in the third tick, so that the read is interrupted before.
    if (++handled == 3)
        MUST(write(ends[1], "data", 4));
}

int main(void)
{
    char content[8];
    struct itimerval tick = {{0, 5000}, {0, 5000}}, off = {0};
    MUST(pipe(ends));
    guest_handle(SIGALRM, on_alarm, SA_RESTART);
    MUST(setitimer(ITIMER_REAL, &tick, NULL));
    SHOW(read(ends[0], content, sizeof content));
    CHECK(handled >= 3);

    // No data this time: only the signal can end the read.
    handled = 10;
    guest_handle(SIGALRM, on_alarm, 0);
    SHOW(read(ends[0], content, sizeof content));
    CHECK(handled > 10);
    MUST(setitimer(ITIMER_REAL, &off, NULL));
    return guest_status();
}
