// pthread_cancel: in a blocking call, at a test point, and asynchronously in a computation.
#include "../guest.h"

static int ends[2];
static atomic_int ready;

static void clean_up(void *name)
{
    printf("clean up %s\n", (const char *)name);
}

static void *block(void *unused)
{
    char byte;
    (void)unused;
    pthread_cleanup_push(clean_up, "reader");
    atomic_store(&ready, 1);
    MUST(read(ends[0], &byte, 1));
    pthread_cleanup_pop(0);
    return NULL;
}

static void *compute(void *unused)
{
    (void)unused;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    pthread_cleanup_push(clean_up, "computer");
    atomic_store(&ready, 1);
    for (volatile unsigned long i = 0;; i++)
        continue;
    pthread_cleanup_pop(0);
    return NULL;
}

static void *refuse(void *unused)
{
    (void)unused;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    atomic_store(&ready, 1);
    while (atomic_load(&ready) != 2)
        sched_yield();
    pthread_testcancel();
    puts("still here");
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    puts("not reached");
    return NULL;
}

static void cancel(void *(*body)(void *))
{
    void *result;
    atomic_store(&ready, 0);
    pthread_t thread = guest_thread(body, NULL);
    while (atomic_load(&ready) == 0)
        sched_yield();
    int cancelled = pthread_cancel(thread);
    atomic_store(&ready, 2);
    SHOW_CODE(pthread_join(thread, &result));
    SHOW_CODE(cancelled);
    CHECK(result == PTHREAD_CANCELED);
}

int main(void)
{
    MUST(pipe(ends));
    cancel(block);
    cancel(compute);
    cancel(refuse);
    return guest_status();
}
