// pthread_kill to a thread that waits in a call: EINTR there, and nowhere else.
#include "../guest.h"

static int ends[2];
static atomic_int finished;

static void on_signal(int signal_number)
{
    (void)signal_number;
}

static void *read_pipe(void *unused)
{
    char byte;
    (void)unused;
    long result = read(ends[0], &byte, 1);
    int error = errno;
    atomic_store(&finished, 1);
    return (void *)(long)(result == -1 ? error : 0);
}

int main(void)
{
    void *result;
    MUST(pipe(ends));
    guest_handle(SIGUSR1, on_signal, 0);
    pthread_t thread = guest_thread(read_pipe, NULL);
    // Repeated, because a signal that comes before the read is no interruption of it.
    while (!atomic_load(&finished)) {
        pthread_kill(thread, SIGUSR1);
        sched_yield();
    }
    SHOW_CODE(pthread_join(thread, &result));
    CHECK((long)result == EINTR);
    return guest_status();
}
