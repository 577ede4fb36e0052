// A robust mutex whose owner ended: EOWNERDEAD, and usable again when declared so.
#include "../guest.h"

static pthread_mutex_t mutex;

static void *lock_and_leave(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    return NULL;
}

static void *wait_for_lock(void *unused)
{
    (void)unused;
    // Blocked until the owner, that never unlocks, has ended.
    int result = pthread_mutex_lock(&mutex);
    pthread_mutex_consistent(&mutex);
    pthread_mutex_unlock(&mutex);
    return (void *)(long)result;
}

static pthread_t waiter;

static void *lock_and_start_waiter(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&mutex);
    waiter = guest_thread(wait_for_lock, NULL);
    for (int i = 0; i < 50; i++)
        sched_yield();
    return NULL;
}

int main(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &attributes);
    pthread_join(guest_thread(lock_and_leave, NULL), NULL);
    SHOW_CODE(pthread_mutex_trylock(&mutex));
    SHOW_CODE(pthread_mutex_consistent(&mutex));
    SHOW_CODE(pthread_mutex_unlock(&mutex));
    SHOW_CODE(pthread_mutex_lock(&mutex));
    SHOW_CODE(pthread_mutex_unlock(&mutex));

    void *result;
    pthread_join(guest_thread(lock_and_start_waiter, NULL), NULL);
    pthread_join(waiter, &result);
    CHECK((long)result == EOWNERDEAD);

    // Unlocked without being declared consistent, it is lost.
    pthread_join(guest_thread(lock_and_leave, NULL), NULL);
    SHOW_CODE(pthread_mutex_lock(&mutex));
    SHOW_CODE(pthread_mutex_unlock(&mutex));
    SHOW_CODE(pthread_mutex_lock(&mutex));
    return guest_status();
}
