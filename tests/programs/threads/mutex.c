// Mutexes: exclusion under contention, trylock, timed lock, error-checking and recursive kinds.
#include "../guest.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *try_to_lock(void *unused)
{
    struct timespec soon;
    (void)unused;
    SHOW_CODE(pthread_mutex_trylock(&mutex));
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 5000000;
    if (soon.tv_nsec >= 1000000000)
        soon.tv_sec++, soon.tv_nsec -= 1000000000;
    SHOW_CODE(pthread_mutex_timedlock(&mutex, &soon));
    return NULL;
}

int main(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = guest_thread(count, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    SHOW(counter);
    pthread_mutex_lock(&mutex);
    pthread_join(guest_thread(try_to_lock, NULL), NULL);
    SHOW_CODE(pthread_mutex_unlock(&mutex));

    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_t checking, recursive, inheriting;
    pthread_mutex_init(&checking, &attributes);
    SHOW_CODE(pthread_mutex_unlock(&checking));
    SHOW_CODE(pthread_mutex_lock(&checking));
    SHOW_CODE(pthread_mutex_lock(&checking));
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    SHOW_CODE(pthread_mutex_lock(&recursive));
    SHOW_CODE(pthread_mutex_lock(&recursive));
    SHOW_CODE(pthread_mutex_unlock(&recursive));
    SHOW_CODE(pthread_mutex_unlock(&recursive));
    SHOW_CODE(pthread_mutex_unlock(&recursive));
    // Priority inheritance without contention needs no call at all.
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&inheriting, &attributes);
    SHOW_CODE(pthread_mutex_lock(&inheriting));
    SHOW_CODE(pthread_mutex_unlock(&inheriting));
    return guest_status();
}
