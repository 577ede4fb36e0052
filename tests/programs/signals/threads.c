// Signals and threads: each has its own mask; pthread_kill reaches one, kill reaches any that may.
#include "../guest.h"
#include <semaphore.h>

static sem_t ready, done;
static volatile pthread_t handled_by;

static void on_signal(int signal_number)
{
    (void)signal_number;
    handled_by = pthread_self();
    sem_post(&done);
}

static void *wait_for_end(void *unblock)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    pthread_sigmask(unblock ? SIG_UNBLOCK : SIG_BLOCK, &mask, NULL);
    sem_post(&ready);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    int got;
    sigwait(&mask, &got);
    return NULL;
}

static void wait_on(sem_t *semaphore)
{
    while (sem_wait(semaphore) == -1 && errno == EINTR)
        continue;
}

int main(void)
{
    sigset_t mask;
    sem_init(&ready, 0, 0);
    sem_init(&done, 0, 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGUSR2);
    // A new thread starts with this mask.
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    guest_handle(SIGUSR1, on_signal, 0);
    pthread_t blocking = guest_thread(wait_for_end, NULL);
    pthread_t open = guest_thread(wait_for_end, &ready);
    wait_on(&ready);
    wait_on(&ready);
    SHOW(kill(getpid(), SIGUSR1));
    wait_on(&done);
    CHECK(pthread_equal(handled_by, open));
    SHOW_CODE(pthread_kill(open, SIGUSR1));
    wait_on(&done);
    CHECK(pthread_equal(handled_by, open));

    // Sent to a thread that blocks it, it waits there and nowhere else.
    SHOW_CODE(pthread_kill(blocking, SIGUSR1));
    sigset_t pending;
    MUST(sigpending(&pending));
    SHOW(sigismember(&pending, SIGUSR1));
    SHOW_CODE(pthread_kill(blocking, SIGUSR2));
    SHOW_CODE(pthread_kill(open, SIGUSR2));
    pthread_join(blocking, NULL);
    pthread_join(open, NULL);
    return guest_status();
}
