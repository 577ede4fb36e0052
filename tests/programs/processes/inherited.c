// What a child of fork has of its parent, and what not.
#include "../guest.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile int handled;

static void on_signal(int signal_number)
{
    handled = signal_number;
}

static void child(int fd, pid_t parent)
{
    sigset_t set;
    CHECK(getppid() == parent);
    CHECK(getpgrp() == getpgid(parent) && getsid(0) == getsid(parent));
    MUST(sigpending(&set));
    CHECK(!sigismember(&set, SIGUSR2));
    MUST(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK(sigismember(&set, SIGUSR2));
    raise(SIGUSR1);
    CHECK(handled == SIGUSR1);
    struct itimerval timer;
    MUST(getitimer(ITIMER_REAL, &timer));
    CHECK(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0);
    CHECK(umask(0) == 027);
    char name[16], directory[256];
    prctl(PR_GET_NAME, name);
    printf("name %s, directory %s\n", name, strrchr(getcwd(directory, sizeof directory), '/'));
    int death;
    prctl(PR_GET_PDEATHSIG, &death);
    printf("parent death signal %d\n", death);
    SHOW(fcntl(fd, F_GETFD));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    SHOW(fcntl(fd, F_SETLK, &lock));
    MUST(fcntl(fd, F_GETLK, &lock));
    CHECK(lock.l_type == F_WRLCK && lock.l_pid == parent);
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    printf("files %ld\n", (long)limit.rlim_cur);
    stack_t stack;
    MUST(sigaltstack(NULL, &stack));
    printf("alternate stack %zu\n", stack.ss_size);
    // The offset is shared, the descriptors are not.
    MUST(write(fd, "child", 5));
    close(fd);
    exit(guest_status());
}

int main(void)
{
    int fd = MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600)), status;
    MUST(mkdir("inside", 0700));
    MUST(chdir("inside"));
    umask(027);
    guest_handle(SIGUSR1, on_signal, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    raise(SIGUSR2);
    struct itimerval timer = {.it_value = {.tv_sec = 1000}};
    MUST(setitimer(ITIMER_REAL, &timer, NULL));
    prctl(PR_SET_NAME, "a name");
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10};
    MUST(fcntl(fd, F_SETLK, &lock));
    struct rlimit limit = {200, 200};
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    MUST(sigaltstack(&stack, NULL));
    MUST(write(fd, "parent ", 7));
    pid_t parent = getpid(), forked = MUST(fork());
    if (forked == 0)
        child(fd, parent);
    CHECK(waitpid(forked, &status, 0) == forked && status == 0);
    SHOW(lseek(fd, 0, SEEK_CUR));
    char text[32] = {0};
    MUST(pread(fd, text, sizeof text, 0));
    puts(text);
    return guest_status();
}
