// Condition variables: a bounded queue between producers and consumers; a timed wait.
#include "../guest.h"

enum { ITEMS = 3000, ROOM = 4 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static long queue[ROOM], head, tail, consumed;

static void *produce(void *first)
{
    for (long i = 0; i < ITEMS; i++) {
        pthread_mutex_lock(&mutex);
        while (tail - head == ROOM)
            pthread_cond_wait(&not_full, &mutex);
        queue[tail++ % ROOM] = (long)first + i;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *consume(void *unused)
{
    long sum = 0;
    (void)unused;
    pthread_mutex_lock(&mutex);
    while (consumed < 2 * ITEMS) {
        if (tail == head) {
            pthread_cond_wait(&not_empty, &mutex);
            continue;
        }
        sum += queue[head++ % ROOM];
        // The last item ends the other consumer's wait as well.
        if (++consumed == 2 * ITEMS)
            pthread_cond_broadcast(&not_empty);
        pthread_cond_signal(&not_full);
    }
    pthread_mutex_unlock(&mutex);
    return (void *)sum;
}

int main(void)
{
    void *one, *two;
    pthread_t threads[4] = {guest_thread(consume, NULL), guest_thread(consume, NULL),
                            guest_thread(produce, (void *)0), guest_thread(produce, (void *)ITEMS)};
    pthread_join(threads[0], &one);
    pthread_join(threads[1], &two);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    SHOW((long)one + (long)two);

    pthread_condattr_t attributes;
    pthread_cond_t timed;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timed, &attributes);
    int64_t until = guest_now(CLOCK_MONOTONIC) + 5000000;
    struct timespec moment = {until / 1000000000, until % 1000000000};
    pthread_mutex_lock(&mutex);
    SHOW_CODE(pthread_cond_timedwait(&timed, &mutex, &moment));
    CHECK(guest_now(CLOCK_MONOTONIC) >= until);
    SHOW_CODE(pthread_mutex_unlock(&mutex));
    return guest_status();
}
