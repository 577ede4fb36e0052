// Makes each system call with the largest arguments that it may have, and says which kept another process waiting for longer than
// LIMIT: such a call leaves the machine no chance to look at its limits. A timer interrupts each call every 20 ms. A process that
// lasts is killed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 6, PATTERNS = 6, LAST = 462 };

static const int left_out[] = {
    SYS_rt_sigreturn, SYS_clone, SYS_clone3, SYS_fork, SYS_vfork, SYS_exit, SYS_exit_group, SYS_reboot,
    // They may end this process, or others that it needs.
    SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal,
    // These only wait, and may wait for good.
    SYS_pause, SYS_rt_sigsuspend,
};

static void nothing(int signal) { (void)signal; }

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void try_all(int number) {
    const long size = 8L << 40, file_size = 1L << 40;
    char *const memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int files[FILES], pipes[2], sockets[2];
    if (memory == MAP_FAILED || pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) {
        perror("set-up");
        exit(1);
    }
    files[0] = memfd_create("large", 0);
    if (ftruncate(files[0], 16 << 20)) {
        perror("ftruncate");
        exit(1);
    }
    files[1] = pipes[0], files[2] = sockets[0], files[3] = epoll_create1(0);
    files[4] = open("/dev/zero", O_RDWR), files[5] = open("/", O_RDONLY | O_DIRECTORY);
    const struct sigaction action = {.sa_handler = nothing};
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGSEGV && signal != SIGBUS) sigaction(signal, &action, 0);
    const struct itimerval every = {{0, 20000}, {0, 20000}};
    setitimer(ITIMER_REAL, &every, 0);
    for (int kind = 0; kind < FILES * PATTERNS; kind++) {
        const long file = files[kind % FILES], start = (long)memory, half = start + size / 2;
        const long patterns[PATTERNS][6] = {
            {file, start, size, 0, 0, 0},
            {start, size, half, file, 0, 0},
            {file, 0, file_size, start, start, size},
            {start, INT32_MAX, 4, file, 0, 0},
            {file, files[4], 0, 0x7ffff000, file_size, 0},
            {0, UINT32_MAX, start, start, INT32_MAX, 0},
        };
        const long *given = patterns[kind / FILES];
        syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
    }
}

int main(int count, char **arguments) {
    const double limit = count > 1 ? atof(arguments[1]) : 1;
    for (int number = 0; number <= LAST; number++) {
        int out = 0;
        for (size_t index = 0; index < sizeof left_out / sizeof *left_out; index++) out |= left_out[index] == number;
        if (out) continue;
        const pid_t child = fork();
        if (child == 0) {
            try_all(number);
            _exit(0);
        }
        const double begin = now();
        double last = begin, longest = 0;
        int status = 0;
        while (waitpid(child, &status, __WALL | WNOHANG) == 0) {
            usleep(1000);
            const double time = now();
            longest = time - last > longest ? time - last : longest;
            last = time;
            if (time - begin > 2 * limit) kill(child, SIGKILL);
        }
        if (longest > limit) dprintf(1, "call %d: %.1f s\n", number, longest);
        if (WIFEXITED(status) && WEXITSTATUS(status)) dprintf(1, "call %d: it could not be tried\n", number);
    }
    dprintf(1, "done\n");
}
