// vfork: the child has its parent's memory, and the parent goes on when that one ends.
#include "../guest.h"
#include <sys/wait.h>

static volatile int written;

static void *other(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    return NULL;
}

int main(void)
{
    int status;
    volatile double number = 1.5;
    pthread_t thread = guest_thread(other, NULL);
    pid_t child = vfork();
    if (child == 0) {
        written = 1;
        _exit(4);
    }
    CHECK(child > 0 && written == 1);
    number *= 2;
    printf("%.1f\n", number);
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
    child = vfork();
    if (child == 0) {
        written = 2;
        execl("/nonexistent", "x", NULL);
        written = errno;
        _exit(5);
    }
    CHECK(written == ENOENT);
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5);
    child = vfork();
    if (child == 0) {
        written = 3;
        kill(getpid(), SIGKILL);
    }
    CHECK(written == 3);
    CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
    pthread_join(thread, NULL);
    return guest_status();
}
