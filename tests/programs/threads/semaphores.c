// Semaphores: counting, waiting, trying, timing out; one at the limit.
#include "../guest.h"
#include <limits.h>
#include <semaphore.h>

static sem_t ping, pong;
static int turns;

static void *play(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        sem_wait(&ping);
        turns++;
        sem_post(&pong);
    }
    return NULL;
}

int main(void)
{
    int value;
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
    pthread_t thread = guest_thread(play, NULL);
    for (int i = 0; i < 1000; i++) {
        sem_post(&ping);
        sem_wait(&pong);
    }
    pthread_join(thread, NULL);
    SHOW(turns);

    sem_t semaphore;
    sem_init(&semaphore, 0, 2);
    SHOW(sem_trywait(&semaphore));
    SHOW(sem_trywait(&semaphore));
    SHOW(sem_trywait(&semaphore));
    int64_t until = guest_now(CLOCK_REALTIME) + 5000000;
    struct timespec moment = {until / 1000000000, until % 1000000000};
    SHOW(sem_timedwait(&semaphore, &moment));
    CHECK(guest_now(CLOCK_REALTIME) >= until);
    SHOW(sem_post(&semaphore));
    SHOW(sem_getvalue(&semaphore, &value));
    SHOW(value);
    sem_init(&semaphore, 0, SEM_VALUE_MAX);
    SHOW(sem_post(&semaphore));
    SHOW(sem_init(&semaphore, 0, (unsigned)SEM_VALUE_MAX + 1));
    return guest_status();
}
