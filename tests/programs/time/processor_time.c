// Processor-time clocks: they run while a thread works, and stand while it sleeps.
#include "../guest.h"

static void *work(void *unused)
{
    (void)unused;
    int64_t start = guest_now(CLOCK_THREAD_CPUTIME_ID);
    while (guest_now(CLOCK_THREAD_CPUTIME_ID) - start < 10000000)
        continue;
    return NULL;
}

int main(void)
{
    struct timespec thirty = {0, 30000000};
    int64_t start = guest_now(CLOCK_PROCESS_CPUTIME_ID);
    nanosleep(&thirty, NULL);
    CHECK(guest_now(CLOCK_PROCESS_CPUTIME_ID) - start < 20000000);
    int64_t own = guest_now(CLOCK_THREAD_CPUTIME_ID);
    work(NULL);
    CHECK(guest_now(CLOCK_THREAD_CPUTIME_ID) - own >= 10000000);

    // Another thread's work counts for the process, and not for this thread.
    start = guest_now(CLOCK_PROCESS_CPUTIME_ID);
    own = guest_now(CLOCK_THREAD_CPUTIME_ID);
    pthread_join(guest_thread(work, NULL), NULL);
    int64_t of_thread = guest_now(CLOCK_THREAD_CPUTIME_ID) - own;
    int64_t of_process = guest_now(CLOCK_PROCESS_CPUTIME_ID) - start;
    CHECK(of_process >= of_thread + 10000000);

    clockid_t clock;
    SHOW_CODE(clock_getcpuclockid(0, &clock));
    CHECK(guest_now(clock) > 0);
    SHOW_CODE(pthread_getcpuclockid(pthread_self(), &clock));
    own = guest_now(clock);
    CHECK(own > 0 && own <= guest_now(CLOCK_THREAD_CPUTIME_ID));
    return guest_status();
}
