// A timer's signal interrupts a thread wherever it is: also one that makes calls so often that it is never long in its own code.
#include "../guest.h"
#include <poll.h>
#include <sys/time.h>

enum { ROUNDS = 20000 };

static atomic_int in_call;
static volatile sig_atomic_t at_work;

static void count(int signal)
{
    (void)signal;
    at_work += !in_call;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(void)
{
    MUST(sigaction(SIGALRM, &(struct sigaction){.sa_handler = count}, NULL));
    struct itimerval interval = {.it_interval.tv_usec = 2000, .it_value.tv_usec = 2000};
    MUST(setitimer(ITIMER_REAL, &interval, NULL));
    for (int round = 0; round < ROUNDS && at_work < 10; round++) {
        for (long long began = now(); now() - began < 300000;)
            continue;
        in_call = 1;
        poll(NULL, 0, 0);
        in_call = 0;
    }
    CHECK(at_work >= 10);
    return guest_status();
}
