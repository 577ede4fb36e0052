// A thousand threads that wait in six ways. Each goes on when its own wait is over, and no other: by what it waits for, by a
// signal's handler, and by another process.
#include "../guest.h"
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

enum { PIPE, FUTEX, SLEEP, POLL, SIGNAL, EPOLL, KINDS };
enum { BY_WHAT_IT_WAITS_FOR, BY_A_HANDLER, BY_ANOTHER_PROCESS, ROUNDS };
enum { EACH = 166, COUNT = KINDS * EACH };

static struct waiter {
    int kind, reads, writes, set;
    pthread_t thread;
    atomic_int ended; // rounds
} waiters[COUNT];

static const char *const kinds[] = { "pipe", "futex", "sleep", "poll", "signal", "epoll" };
static atomic_int *words; // of the futexes, which another process sees too
static atomic_int good[ROUNDS][KINDS];
static sem_t ends;
static sigset_t queued;

static void nothing(int signal)
{
    (void)signal;
}

// One call that waits; whether it ended as it should when no handler interrupts it. errno is EINTR when one did.
static bool wait_once(struct waiter *own, int round)
{
    struct pollfd polled = { .fd = own->reads, .events = POLLIN };
    struct epoll_event event;
    struct timespec time = { .tv_sec = round == BY_A_HANDLER ? 100000 : 0, .tv_nsec = 1000000 };
    atomic_int *word = &words[own - waiters];
    uint64_t count;
    char byte;
    errno = 0;
    switch (own->kind) {
    case PIPE:
        return read(own->reads, &byte, 1) == 1 && byte == round;
    case FUTEX:
        syscall(SYS_futex, word, FUTEX_WAIT, round, NULL, NULL, 0);
        return *word == round + 1;
    case SLEEP:
        return nanosleep(&time, NULL) == 0;
    case POLL:
        return poll(&polled, 1, -1) == 1 && polled.revents == POLLIN && read(own->reads, &count, 8) == 8 && count == 1;
    case SIGNAL:
        return sigwaitinfo(&queued, NULL) == SIGRTMIN;
    default:
        return epoll_wait(own->set, &event, 1, -1) == 1 && event.data.ptr == own && read(own->reads, &count, 8) == 8;
    }
}

static void *run(void *argument)
{
    struct waiter *own = argument;
    for (int round = 0; round < ROUNDS; round++) {
        bool right;
        do
            right = wait_once(own, round);
        while (!right && errno == EINTR && round != BY_A_HANDLER);
        if (round == BY_A_HANDLER) {
            right = !right && errno == EINTR;
            words[own - waiters] = round + 1;
        }
        good[round][own->kind] += right;
        own->ended++;
        sem_post(&ends);
    }
    return NULL;
}

static void make(struct waiter *new, int kind)
{
    *new = (struct waiter){ .kind = kind };
    int ends_of_pipe[2];
    if (kind == PIPE) {
        MUST(pipe(ends_of_pipe));
        new->reads = ends_of_pipe[0], new->writes = ends_of_pipe[1];
    } else if (kind == POLL || kind == EPOLL) {
        new->reads = new->writes = MUST(eventfd(0, 0));
    }
    if (kind == EPOLL) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = new };
        new->set = MUST(epoll_create1(0));
        MUST(epoll_ctl(new->set, EPOLL_CTL_ADD, new->reads, &event));
    }
}

// Ends the wait of `waiter`: with a signal for it alone, or for its process.
static void end_wait(struct waiter *waiter, char round, pid_t process)
{
    uint64_t one = 1;
    switch (waiter->kind) {
    case PIPE:
        MUST(write(waiter->writes, &round, 1));
        break;
    case FUTEX:
        words[waiter - waiters] = round + 1;
        MUST(syscall(SYS_futex, &words[waiter - waiters], FUTEX_WAKE, 1, NULL, NULL, 0));
        break;
    case SLEEP:
        break;
    case SIGNAL:
        if (process)
            MUST(kill(process, SIGRTMIN));
        else
            pthread_kill(waiter->thread, SIGRTMIN);
        break;
    default:
        MUST(write(waiter->writes, &one, 8));
    }
}

static void await(int round)
{
    for (int i = 0; i < COUNT; i++)
        while (sem_wait(&ends) != 0)
            continue;
    printf("round %d:", round);
    for (int kind = 0; kind < KINDS; kind++)
        printf(" %s=%d", kinds[kind], good[round][kind]);
    printf("\n");
}

// A signal that comes before its thread waits interrupts nothing: it is sent again.
static void interrupt_all(void)
{
    for (int left = COUNT; left > 0;) {
        left = 0;
        for (int i = 0; i < COUNT; i++)
            if (waiters[i].ended == BY_A_HANDLER) {
                left++;
                pthread_kill(waiters[i].thread, SIGUSR1);
            }
        sched_yield();
    }
}

int main(void)
{
    words = mmap(NULL, COUNT * sizeof *words, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigemptyset(&queued);
    sigaddset(&queued, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &queued, NULL);
    MUST(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL));
    sem_init(&ends, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 16);
    for (int i = 0; i < COUNT; i++) {
        make(&waiters[i], i % KINDS);
        if (pthread_create(&waiters[i].thread, &attributes, run, &waiters[i]) != 0)
            return 99;
    }
    for (int i = COUNT; i-- > 0;)
        end_wait(&waiters[i], BY_WHAT_IT_WAITS_FOR, 0);
    await(BY_WHAT_IT_WAITS_FOR);
    interrupt_all();
    await(BY_A_HANDLER);
    pid_t parent = getpid(), child = MUST(fork());
    if (child == 0) {
        for (int i = 0; i < COUNT; i++)
            end_wait(&waiters[i], BY_ANOTHER_PROCESS, parent);
        _exit(0);
    }
    await(BY_ANOTHER_PROCESS);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < COUNT; i++)
        pthread_join(waiters[i].thread, NULL);
    return guest_status();
}
