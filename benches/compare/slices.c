/* How a machine shares a CPU among threads; the first argument says what is measured, and one number is printed:
 *
 *   sleep           the median of sleeps of 1 ms beside a thread that works, in ms
 *   alarm           signals a second of an interval timer of 2 ms, at a thread that works
 *   token BLOCKED   how long two threads take to hand a token to each other once, in us
 *   work BLOCKED    how long a thread takes for some work while two others do that, in ms
 *
 * BLOCKED threads wait meanwhile, for a futex or for bytes in a pipe. */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SLEEPS = 201, ALARM_SECONDS = 1, HAND_OVERS = 2000, WARM_UPS = 200, WORK = 100000000, MOST_BLOCKED = 1000, PIPES = 100 };

static atomic_int end, blocked, futex;
static atomic_long signals;
static int pipes[PIPES][2], there[2], back[2];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static pthread_t start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, 1 << 16) != 0 ||
        pthread_create(&thread, &attributes, run, argument) != 0)
        fail("a thread");
    return thread;
}

static void *work(void *unused)
{
    for (volatile long turn = 0; !end; turn++)
        continue;
    return unused;
}

static int by_size(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static double sleeps(void)
{
    double taken[SLEEPS];
    pthread_t worker = start(work, NULL);
    for (int i = 0; i < SLEEPS; i++) {
        double begun = now();
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        taken[i] = now() - begun;
    }
    end = 1;
    pthread_join(worker, NULL);
    qsort(taken, SLEEPS, sizeof *taken, by_size);
    return taken[SLEEPS / 2] * 1e3;
}

static void count(int signal)
{
    (void)signal;
    signals++;
}

static double alarms(void)
{
    struct itimerval every = { .it_interval.tv_usec = 2000, .it_value.tv_usec = 2000 };
    if (sigaction(SIGALRM, &(struct sigaction){ .sa_handler = count }, NULL) != 0 || setitimer(ITIMER_REAL, &every, NULL) != 0)
        fail("a timer");
    double begun = now(), elapsed;
    while ((elapsed = now() - begun) < ALARM_SECONDS)
        continue;
    return (double)signals / elapsed;
}

static void *wait_for_futex(void *unused)
{
    blocked++;
    while (!end)
        syscall(SYS_futex, &futex, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return unused;
}

static void *wait_for_byte(void *descriptor)
{
    char byte;
    blocked++;
    if (read(*(int *)descriptor, &byte, 1) != 0)
        fail("reading from a pipe");
    return NULL;
}

static void block(pthread_t *threads, int number)
{
    for (int i = 0; i < PIPES; i++)
        if (pipe(pipes[i]) != 0)
            fail("a pipe");
    for (int i = 0; i < number; i++)
        threads[i] = i % 2 ? start(wait_for_futex, NULL) : start(wait_for_byte, &pipes[i / 2 % PIPES][0]);
    while (blocked < number)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Each of the threads goes on, and so ends. */
static void unblock(pthread_t *threads, int number)
{
    end = 1;
    futex = 1;
    syscall(SYS_futex, &futex, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    for (int i = 0; i < PIPES; i++)
        close(pipes[i][1]);
    for (int i = 0; i < number; i++)
        pthread_join(threads[i], NULL);
}

/* Sends the token back, until there will be none. */
static void *answer(void *unused)
{
    char token;
    while (read(there[0], &token, 1) == 1)
        if (write(back[1], &token, 1) != 1)
            fail("handing the token back");
    return unused;
}

static void hand_over(int times)
{
    char token = 1;
    for (int i = 0; i < times; i++)
        if (write(there[1], &token, 1) != 1 || read(back[0], &token, 1) != 1)
            fail("handing the token over");
}

static double tokens(void)
{
    pthread_t other = start(answer, NULL);
    hand_over(WARM_UPS);
    double begun = now();
    hand_over(HAND_OVERS);
    double taken = now() - begun;
    close(there[1]);
    pthread_join(other, NULL);
    return taken / HAND_OVERS / 2 * 1e6;
}

static void *hand_over_until_end(void *unused)
{
    while (!end)
        hand_over(1);
    close(there[1]);
    return unused;
}

static double work_beside(void)
{
    pthread_t one = start(hand_over_until_end, NULL), other = start(answer, NULL);
    double begun = now();
    for (volatile long turn = 0; turn < WORK; turn++)
        continue;
    double taken = now() - begun;
    end = 1;
    pthread_join(one, NULL);
    pthread_join(other, NULL);
    return taken * 1e3;
}

int main(int argc, char **argv)
{
    static pthread_t threads[MOST_BLOCKED];
    const char *what = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    if (number < 0 || number > MOST_BLOCKED)
        return 2;
    if (strcmp(what, "sleep") == 0)
        return printf("%.3f\n", sleeps()) < 0;
    if (strcmp(what, "alarm") == 0)
        return printf("%.1f\n", alarms()) < 0;
    double (*measured)(void) = strcmp(what, "token") == 0 ? tokens : strcmp(what, "work") == 0 ? work_beside : NULL;
    if (measured == NULL)
        return 2;
    if (pipe(there) != 0 || pipe(back) != 0)
        fail("a pipe");
    block(threads, number);
    double result = measured();
    unblock(threads, number);
    return printf("%.3f\n", result) < 0;
}
