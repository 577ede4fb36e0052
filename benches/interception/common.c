/* Clock, CPUs, children and samples. */
#define _GNU_SOURCE
#include "interception.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

void add_sample(struct samples *samples, double nanoseconds)
{
    if (samples->count < SAMPLES)
        samples->nanoseconds[samples->count++] = nanoseconds;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double median(const struct samples *samples)
{
    double sorted[SAMPLES];
    if (samples->count == 0)
        return 0;
    memcpy(sorted, samples->nanoseconds, sizeof sorted);
    qsort(sorted, (size_t)samples->count, sizeof sorted[0], compare);
    return sorted[samples->count / 2];
}

double lowest(const struct samples *samples)
{
    double least = samples->count ? samples->nanoseconds[0] : 0;
    for (int i = 1; i < samples->count; i++)
        if (samples->nanoseconds[i] < least)
            least = samples->nanoseconds[i];
    return least;
}

struct shared *new_shared(void)
{
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    memset(memory, 0, sizeof(struct shared));
    ((struct shared *)memory)->turn = CHILD;
    return memory;
}

void free_shared(struct shared *shared)
{
    munmap(shared, sizeof *shared);
}

pid_t start_child(int cpu)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The parent may have ended before that call; and a child ends by itself whatever happens. */
    if (getppid() != parent || pin(cpu) != 0)
        _exit(2);
    alarm(SECONDS_AT_MOST);
    return 0;
}

void end_child(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
        ;
}

static long call_getppid(void)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(SYS_getppid) : "rcx", "r11", "memory");
    return result;
}

void guest_loop(struct shared *shared, int calls, long expected)
{
    for (int i = 0; i < calls; i++) {
        if (call_getppid() != expected)
            shared->wrong++;
        shared->calls++;
    }
}

int round_trips(const struct placement *placement)
{
    /* A batch more, to warm up. */
    return placement->calls * (BATCHES + 1);
}

const char *measure_round_trips(const struct placement *placement, struct samples *samples, struct child *child,
                                int (*serve)(struct child *child))
{
    for (int batch = 0; batch <= BATCHES; batch++) {
        double start = now();
        for (int i = 0; i < placement->calls; i++)
            if (serve(child) != 0)
                return "a round trip failed";
        if (batch > 0)
            add_sample(samples, (now() - start) / placement->calls);
    }
    /* The child may not have seen the last answer yet. */
    if (child->shared->calls + 1 < (uint32_t)round_trips(placement))
        return "the child made fewer calls than were answered";
    return child->shared->wrong ? "the child got wrong answers" : NULL;
}

void give_turn(struct shared *shared, uint32_t whose)
{
    shared->turn = whose;
    syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int await_turn(struct shared *shared, uint32_t whose)
{
    const struct timespec most = { .tv_sec = WAIT_SECONDS };
    while (shared->turn != whose)
        if (syscall(SYS_futex, &shared->turn, FUTEX_WAIT, !whose, &most, NULL, 0) != 0 && errno == ETIMEDOUT)
            return -1;
    return 0;
}
