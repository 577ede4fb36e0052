// Mutexes, conditions and semaphores in shared memory, between processes.
#include "../guest.h"
#include <semaphore.h>
#include <sys/wait.h>

struct shared {
    pthread_mutex_t mutex, robust;
    pthread_cond_t condition;
    sem_t semaphore, early;
    int turn, count;
};

static void *wait_early(void *shared)
{
    MUST(sem_wait(&((struct shared *)shared)->early));
    return NULL;
}

int main(void)
{
    int status, flags = MAP_SHARED | MAP_ANONYMOUS;
    struct shared *shared = (struct shared *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, flags, -1, 0));
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->robust, &attributes);
    pthread_condattr_t condition;
    pthread_condattr_init(&condition);
    pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->condition, &condition);
    MUST(sem_init(&shared->semaphore, 1, 0));
    MUST(sem_init(&shared->early, 1, 0));
    pthread_t waiter = guest_thread(wait_early, shared); // perhaps before there is anybody to share with
    sched_yield();
    pid_t child = MUST(fork());
    if (child == 0) {
        for (int i = 0; i < 50; i++) {
            pthread_mutex_lock(&shared->mutex);
            while (shared->turn != 1)
                pthread_cond_wait(&shared->condition, &shared->mutex);
            shared->turn = 0;
            shared->count++;
            pthread_cond_signal(&shared->condition);
            pthread_mutex_unlock(&shared->mutex);
        }
        MUST(sem_post(&shared->semaphore));
        MUST(sem_post(&shared->early));
        pthread_mutex_lock(&shared->robust);
        _exit(0);
    }
    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&shared->mutex);
        while (shared->turn != 0)
            pthread_cond_wait(&shared->condition, &shared->mutex);
        shared->turn = 1;
        shared->count++;
        pthread_cond_signal(&shared->condition);
        pthread_mutex_unlock(&shared->mutex);
    }
    SHOW(sem_wait(&shared->semaphore));
    pthread_join(waiter, NULL);
    MUST(waitpid(child, &status, 0));
    printf("count %d status %d\n", shared->count, status);
    SHOW_CODE(pthread_mutex_lock(&shared->robust));
    SHOW_CODE(pthread_mutex_consistent(&shared->robust));
    SHOW_CODE(pthread_mutex_unlock(&shared->robust));
    return guest_status();
}
