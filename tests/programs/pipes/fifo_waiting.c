// Opening a named pipe waits for the other side, sees one that came and left, and can be interrupted.
#include "../guest.h"
#include <poll.h>
#include <sys/wait.h>

static int told[2];

static void ignore(int number)
{
    (void)number;
}

// A child that opens the FIFO, says so, reads what there is, and ends.
static pid_t child(int flags, bool reads)
{
    pid_t pid = MUST(fork());
    if (pid)
        return pid;
    char content[8];
    int fd = MUST(open("fifo", flags));
    MUST(write(told[1], "o", 1));
    ssize_t count = reads ? read(fd, content, sizeof content) : 0;
    MUST(close(fd));
    _exit((int)count);
}

static void show_end(pid_t pid)
{
    char byte;
    int status;
    MUST(read(told[0], &byte, 1));
    MUST(waitpid(pid, &status, 0));
    printf("the child got %d\n", WEXITSTATUS(status));
}

int main(void)
{
    struct pollfd wait = {.events = POLLIN};
    MUST(mkfifo("fifo", 0600));
    MUST(pipe(told));
    wait.fd = told[0];
    signal(SIGPIPE, SIG_IGN);

    // A reader that is there for a moment lets the writer in.
    for (int i = 0; i < 5; i++) {
        pid_t pid = child(O_RDONLY, false);
        int fd = MUST(open("fifo", O_WRONLY));
        show_end(pid);
        SHOW(write(fd, "x", 1));
        MUST(close(fd));
    }

    // A reader waits until there is a writer, also for one that leaves at once.
    pid_t pid = child(O_RDONLY, true);
    SHOW(poll(&wait, 1, 30));
    MUST(close(MUST(open("fifo", O_WRONLY))));
    show_end(pid);
    pid = child(O_RDONLY, true);
    int fd = MUST(open("fifo", O_WRONLY));
    SHOW(write(fd, "abc", 3));
    show_end(pid);
    MUST(close(fd));

    // It does not wait when one is there already.
    fd = MUST(open("fifo", O_RDWR));
    pid = child(O_RDONLY, true);
    SHOW(poll(&wait, 1, -1));
    SHOW(write(fd, "ab", 2));
    show_end(pid);
    MUST(close(fd));

    // Interrupted, it is as if it had never been.
    guest_handle(SIGALRM, ignore, 0);
    struct itimerspec soon = {.it_value.tv_nsec = 10000000};
    timer_t timer;
    MUST(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    MUST(timer_settime(timer, 0, &soon, NULL));
    SHOW(open("fifo", O_RDONLY));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    MUST(timer_settime(timer, 0, &soon, NULL));
    SHOW(open("fifo", O_WRONLY));
    return guest_status();
}
