// Detached threads: they cannot be joined, and their stacks come back when they end.
#include "../guest.h"
#include <semaphore.h>

static sem_t done;

static void *work(void *unused)
{
    (void)unused;
    sem_post(&done);
    return NULL;
}

static void *detach_self(void *unused)
{
    pthread_detach(pthread_self());
    return work(unused);
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sem_init(&done, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < 300; i++) {
        if (pthread_create(&thread, &attributes, work, NULL) != 0)
            puts("could not create");
        sem_wait(&done);
    }
    puts("300 threads");
    guest_thread(detach_self, NULL);
    sem_wait(&done);
    thread = pthread_self();
    SHOW_CODE(pthread_detach(thread));
    SHOW_CODE(pthread_join(thread, NULL));
    return guest_status();
}
