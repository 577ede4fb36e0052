// pthread_once and C11 threads: one thread initialises, the others wait for it.
#include "../guest.h"
#include <threads.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int calls, early;
static int prepared;

static void prepare(void)
{
    atomic_fetch_add(&calls, 1);
    for (int i = 0; i < 20; i++)
        sched_yield();
    prepared = 1;
}

static int use(void *unused)
{
    (void)unused;
    pthread_once(&once, prepare);
    if (!prepared)
        atomic_fetch_add(&early, 1);
    return 3;
}

int main(void)
{
    thrd_t threads[6];
    int result, sum = 0;
    for (int i = 0; i < 6; i++)
        CHECK(thrd_create(&threads[i], use, NULL) == thrd_success);
    for (int i = 0; i < 6; i++) {
        thrd_join(threads[i], &result);
        sum += result;
    }
    SHOW(calls);
    SHOW(early);
    SHOW(sum);
    return guest_status();
}
