// fork in a process of several threads: the child has one.
#include "../guest.h"
#include <sys/wait.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int counter;

static void *work(void *argument)
{
    for (int i = 0; i < 20; i++) {
        pid_t child = MUST(fork());
        if (child == 0)
            _exit(7);
        int status;
        MUST(waitpid(child, &status, 0));
        pthread_mutex_lock(&lock);
        counter += WEXITSTATUS(status) == 7;
        pthread_mutex_unlock(&lock);
    }
    return argument;
}

static void *sleep_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

int main(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = guest_thread(work, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("%d children\n", counter);
    pthread_t sleeper = guest_thread(sleep_for_ever, NULL);
    (void)sleeper;
    pid_t child = MUST(fork());
    if (child == 0) {
        CHECK(getpid() == (pid_t)syscall(SYS_gettid));
        // Threads work in a child too, and its end takes them along.
        guest_thread(sleep_for_ever, NULL);
        pthread_t thread = guest_thread(work, NULL);
        counter = 0;
        pthread_join(thread, NULL);
        printf("%d grandchildren\n", counter);
        exit(guest_status());
    }
    int status;
    MUST(waitpid(child, &status, 0));
    printf("status %d\n", status);
    return guest_status();
}
