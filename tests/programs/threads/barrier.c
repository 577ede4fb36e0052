// A barrier: nobody passes before all are there, and one of them is told so.
#include "../guest.h"

enum { THREADS = 5, ROUNDS = 100 };

static pthread_barrier_t barrier;
static atomic_int arrived, chosen, early;

static void *walk(void *unused)
{
    (void)unused;
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&arrived, 1);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            atomic_fetch_add(&chosen, 1);
        if (atomic_load(&arrived) < round * THREADS)
            atomic_fetch_add(&early, 1);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        threads[i] = guest_thread(walk, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    SHOW(arrived);
    SHOW(chosen);
    SHOW(early);
    SHOW_CODE(pthread_barrier_destroy(&barrier));
    return guest_status();
}
