// execve: what the new program has of the old one.
#include "../guest.h"
#include <sys/prctl.h>
#include <sys/wait.h>

static void on_signal(int signal_number)
{
    (void)signal_number;
}

static void *sleep_for_ever(void *argument)
{
    for (;;)
        pause();
    return argument;
}

static void *execute(void *program)
{
    char *arguments[] = {"second", "an argument", "", NULL}, *environment[] = {"WORD=value", NULL};
    execve(program, arguments, environment);
    printf("execve: %s\n", guest_error_name(errno));
    exit(98);
}

static int second(int count, char **arguments, char **environment)
{
    for (int i = 0; i < count; i++)
        printf("argument %d: '%s'\n", i, arguments[i]);
    for (int i = 0; environment[i]; i++)
        printf("environment %d: '%s'\n", i, environment[i]);
    struct sigaction action;
    MUST(sigaction(SIGUSR1, NULL, &action));
    CHECK(action.sa_handler == SIG_DFL);
    MUST(sigaction(SIGUSR2, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN);
    sigset_t set;
    MUST(sigprocmask(SIG_BLOCK, NULL, &set));
    CHECK(sigismember(&set, SIGTERM));
    MUST(sigpending(&set));
    CHECK(sigismember(&set, SIGTERM));
    stack_t stack;
    MUST(sigaltstack(NULL, &stack));
    CHECK(stack.ss_flags == SS_DISABLE);
    SHOW(fcntl(10, F_GETFD));
    SHOW(fcntl(11, F_GETFD));
    char name[16];
    prctl(PR_GET_NAME, name);
    puts(name);
    CHECK(getpid() == (pid_t)syscall(SYS_gettid));
    char link[256] = {0}, text[256] = {0};
    MUST(readlink("/proc/self/exe", link, sizeof link - 1));
    puts(strrchr(link, '/'));
    int fd = MUST(open("/proc/self/cmdline", O_RDONLY));
    long length = MUST(read(fd, text, sizeof text));
    printf("cmdline has %ld bytes, first '%s'\n", length, text);
    return guest_status();
}

int main(int count, char **arguments, char **environment)
{
    if (strcmp(arguments[0], "second") == 0)
        return second(count, arguments, environment);
    char program[256] = {0};
    MUST(readlink("/proc/self/exe", program, sizeof program - 1));
    guest_handle(SIGUSR1, on_signal, 0);
    guest_handle(SIGUSR2, SIG_IGN, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL));
    MUST(kill(getpid(), SIGTERM));
    int fd = MUST(open("kept", O_RDWR | O_CREAT, 0600));
    MUST(dup2(fd, 10));
    MUST(dup3(fd, 11, O_CLOEXEC));
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    MUST(sigaltstack(&stack, NULL));
    fflush(stdout);
    // From another thread: the first one and a third one end, and it takes the process's id.
    guest_thread(sleep_for_ever, NULL);
    guest_thread(execute, program);
    sleep_for_ever(NULL);
}
