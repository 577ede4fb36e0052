// Which thread takes a signal for the whole process: the first thread, if it may; the one that runs, when the timer
// counts the process's CPU time.
#include "../guest.h"
#include <sys/time.h>

static pid_t worker;
static atomic_int by_worker, by_others;

static void count(int signal_number)
{
    (void)signal_number;
    atomic_fetch_add(gettid() == worker ? &by_worker : &by_others, 1);
}

enum { PROFILING, VIRTUAL, PROCESS_CLOCK, REAL, KINDS };
static const char *const names[KINDS] = {"profiling timer", "virtual timer", "timer of the process's clock",
                                         "real timer"};

static void begin(int kind)
{
    struct itimerval often = {{0, 5000}, {0, 5000}};
    if (kind == PROFILING || kind == VIRTUAL || kind == REAL) {
        int which = kind == PROFILING ? ITIMER_PROF : kind == VIRTUAL ? ITIMER_VIRTUAL : ITIMER_REAL;
        CHECK(setitimer(which, &often, NULL) == 0);
    } else {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
        timer_t timer;
        CHECK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0);
        struct itimerspec often = {{0, 5000000}, {0, 5000000}};
        CHECK(timer_settime(timer, 0, &often, NULL) == 0);
    }
}

enum { SIGNALS = 9 };

// Works until it, or the other, has taken some signals of the kind.
static void *work(void *argument)
{
    worker = gettid();
    int kind = *(int *)argument;
    begin(kind);
    while (atomic_load(&by_worker) + atomic_load(&by_others) < SIGNALS)
        continue;
    struct itimerval never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_PROF, &never, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &never, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    return NULL;
}

int main(void)
{
    guest_handle(SIGPROF, count, SA_RESTART);
    guest_handle(SIGVTALRM, count, SA_RESTART);
    guest_handle(SIGALRM, count, SA_RESTART);
    guest_handle(SIGUSR1, count, SA_RESTART);
    for (int kind = KINDS - 1; kind >= 0; kind--) {
        atomic_store(&by_worker, 0);
        atomic_store(&by_others, 0);
        pthread_join(guest_thread(work, &kind), NULL);
        // This thread may have run for the first of them: it has made the other.
        bool others = atomic_load(&by_others) > atomic_load(&by_worker);
        printf("%s: %s\n", names[kind], others ? "the first thread" : "the one that runs");
    }
    return guest_status();
}
