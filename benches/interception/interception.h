/* What the files of this program share: see README.md. */
#ifndef INTERCEPTION_H
#define INTERCEPTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every loop of the program is bounded by these. A measurement is a number of batches in a few rounds; measurements take
 * turns in each round, so that a slow moment of the machine does not fall on one of them alone, and batches are shorter
 * than a time slice, so that most of them meet no other work. */
enum { ROUNDS = 3, BATCHES = 31, SAMPLES = ROUNDS * BATCHES };
enum { CALLS_SAME_CPU = 250, CALLS_TWO_CPUS = 30, CALLS_NATIVE = 5000 };
enum { SECONDS_AT_MOST = 120, WAIT_SECONDS = 5 };

/* What a mechanism answers to the intercepted call; no process has this number. */
enum { ANSWER = 0x7ffffff1 };

struct placement {
    const char *name;
    int parent_cpu;
    int child_cpu;
    int calls; /* round trips in a batch */
};

struct samples {
    double nanoseconds[SAMPLES]; /* for one operation, one value a batch */
    int count;
    const char *skipped; /* why there is nothing; NULL when there is */
};

/* What an intercepted child and its parent share. */
struct shared {
    _Atomic uint32_t turn; /* whose it is: PARENT or CHILD */
    _Atomic uint32_t calls; /* that the child has made */
    _Atomic uint32_t wrong; /* answers that were not the expected one */
    double nanoseconds; /* a time that the child took */
    int64_t registers[32];
};
enum { PARENT, CHILD };

struct child {
    pid_t pid;
    int fd; /* -1 when the mechanism has none */
    struct shared *shared;
};

/* common.c */
double now(void); /* nanoseconds */
int pin(int cpu); /* 0 when the calling thread is on that CPU from now on */
void add_sample(struct samples *samples, double nanoseconds);
double median(const struct samples *samples);
double lowest(const struct samples *samples);
struct shared *new_shared(void);
void free_shared(struct shared *shared);
/* fork(): a child that dies with its parent and is on its CPU. 0 in the child, -1 when the host refuses. */
pid_t start_child(int cpu);
void end_child(pid_t pid);
/* Makes `calls` getppid calls and counts the answers that are not `expected`. */
void guest_loop(struct shared *shared, int calls, long expected);
/* Lets `serve` answer batches of round trips and adds their times; the reason when it can't. */
const char *measure_round_trips(const struct placement *placement, struct samples *samples, struct child *child,
                                int (*serve)(struct child *child));
/* Round trips that measure_round_trips makes. */
int round_trips(const struct placement *placement);
/* Hands over by futex; waits for the turn for at most WAIT_SECONDS, and is -1 when it does not come. */
void give_turn(struct shared *shared, uint32_t whose);
int await_turn(struct shared *shared, uint32_t whose);

/* A mechanism measures one round and says why it can't, or NULL. */
typedef const char *(*mechanism)(const struct placement *placement, struct samples *samples);

const char *native(const struct placement *, struct samples *);
const char *ptrace_with_registers(const struct placement *, struct samples *);
const char *ptrace_with_result(const struct placement *, struct samples *);
const char *ptrace_bare(const struct placement *, struct samples *);
const char *notification(const struct placement *, struct samples *);
const char *notification_synchronous(const struct placement *, struct samples *);
const char *sigsys_trap(const struct placement *, struct samples *);
const char *sigsys_dispatch(const struct placement *, struct samples *);

/* memory.c: what reading, finding and undoing a child's changes costs. */
enum {
    READ_256,
    WRITE_256,
    SCAN_SPARSE,
    SCAN_FULL,
    RESET_COLD,
    RESET,
    RESET_BY_CHILD,
    DIRTY_FIRST,
    DIRTY_AGAIN,
    FORK_EXIT,
    MEMORY_ROWS
};
extern const char *const memory_names[MEMORY_ROWS];
void measure_memory(int cpu, struct samples rows[MEMORY_ROWS]);

#endif
