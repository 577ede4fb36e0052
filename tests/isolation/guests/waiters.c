// Threads and a process that wait for futexes in memory of every kind that can be shared: frozen while they wait.
#include "server.h"

#include <linux/futex.h>
#include <sys/stat.h>

// What lies in each kind of memory.
struct place {
    // What a thread and the child wait on, each at its own word; `left` is for requeueing.
    uint32_t of_thread, of_child, left;
    // How many came back, which is told by a futex too.
    uint32_t back;
    // Locks that the first thread holds: one with priority inheritance, one that dies with its owner.
    pthread_mutex_t inheriting, robust;
    uint32_t owner_may_end;
};

enum { KINDS = 5 };
static const char *const names[KINDS] = {"memfd", "named", "anonymous", "file", "unlinked"};
static struct place *places[KINDS];

static long futex(uint32_t *word, int operation, uint32_t value) {
    return syscall(SYS_futex, word, operation, value, 0, 0, 0);
}

static void wait_while(uint32_t *word, uint32_t value) {
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) futex(word, FUTEX_WAIT, value);
}

static void come_back(struct place *place) {
    __atomic_add_fetch(&place->back, 1, __ATOMIC_SEQ_CST);
    futex(&place->back, FUTEX_WAKE, 1);
}

static void wait_for_all(struct place *place, uint32_t count) {
    uint32_t back;
    while ((back = __atomic_load_n(&place->back, __ATOMIC_SEQ_CST)) < count) futex(&place->back, FUTEX_WAIT, back);
}

static void *wait_as_thread(void *place) {
    wait_while(&((struct place *)place)->of_thread, 0);
    come_back(place);
    return 0;
}

static void *wait_as_child(void *place) {
    wait_while(&((struct place *)place)->of_child, 0);
    come_back(place);
    return 0;
}

static void *lock_inheriting(void *argument) {
    struct place *place = argument;
    pthread_mutex_lock(&place->inheriting);
    pthread_mutex_unlock(&place->inheriting);
    come_back(place);
    return 0;
}

// Takes the robust lock, and ends with it when it is told to.
static void *own_robust(void *argument) {
    struct place *place = argument;
    pthread_mutex_lock(&place->robust);
    come_back(place);
    wait_while(&place->owner_may_end, 0);
    return 0;
}

static void *lock_robust(void *argument) {
    struct place *place = argument;
    if (pthread_mutex_lock(&place->robust) == EOWNERDEAD) come_back(place);
    return 0;
}

static void start(void *(*run)(void *), struct place *place) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 16);
    if (pthread_create(&thread, &attributes, run, place)) MUST(-1);
}

static struct place *map(int fd) {
    if (fd >= 0) MUST(ftruncate(fd, PAGE));
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    return (struct place *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0));
}

static void make_locks(struct place *place) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (pthread_mutex_init(&place->inheriting, &attributes)) MUST(-1);
    pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_NONE);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (pthread_mutex_init(&place->robust, &attributes)) MUST(-1);
    pthread_mutex_lock(&place->inheriting);
}

static void run_child(void) {
    close(listener);
    for (int kind = 0; kind < KINDS; kind++) {
        start(wait_as_child, places[kind]);
        start(lock_inheriting, places[kind]);
        start(lock_robust, places[kind]);
    }
    for (;;) pause();
}

static void set_up(void) {
    int memory = MUST(memfd_create("waiters", MFD_CLOEXEC));
    int named = MUST(open("/dev/shm/waiters", O_RDWR | O_CREAT | O_TRUNC, 0600));
    int file = MUST(open("file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    int unlinked = MUST(open("unlinked", O_RDWR | O_CREAT, 0600));
    MUST(unlink("unlinked"));
    places[0] = map(memory);
    places[1] = map(named);
    places[2] = map(-1);
    places[3] = map(file);
    places[4] = map(unlinked);
    MUST(close(memory));
    MUST(close(unlinked));
    for (int kind = 0; kind < KINDS; kind++) {
        make_locks(places[kind]);
        start(own_robust, places[kind]);
        wait_for_all(places[kind], 1);
        start(wait_as_thread, places[kind]);
    }
    if (MUST(fork()) == 0) run_child();
}

static struct place *find(const char *name) {
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(names[kind], name)) return places[kind];
    MUST(-1);
    return 0;
}

static void wake(const char *name) {
    struct place *place = find(name);
    place->of_thread = place->of_child = 1;
    long thread = futex(&place->of_thread, FUTEX_WAKE, 9);
    long child = futex(&place->of_child, FUTEX_WAKE, 9);
    wait_for_all(place, 3);
    sprintf(answer, "%ld %ld ", thread, child);
}

static void requeue(const char *name) {
    struct place *place = find(name);
    place->of_child = 1;
    long moved = MUST(syscall(SYS_futex, &place->of_child, FUTEX_CMP_REQUEUE, 0, 9, &place->left, 1));
    long here = futex(&place->of_child, FUTEX_WAKE, 9);
    long there = futex(&place->left, FUTEX_WAKE, 9);
    wait_for_all(place, 2);
    sprintf(answer, "%ld %ld %ld ", moved, here, there);
}

static void unlock(const char *name) {
    struct place *place = find(name);
    if (pthread_mutex_unlock(&place->inheriting)) MUST(-1);
    wait_for_all(place, 2);
    // Its owner is another now, or nobody.
    pthread_mutex_lock(&place->inheriting);
    sprintf(answer, "unlocked ");
}

static void end_owner(const char *name) {
    struct place *place = find(name);
    place->owner_may_end = 1;
    futex(&place->owner_may_end, FUTEX_WAKE, 1);
    wait_for_all(place, 2);
    sprintf(answer, "inherited ");
}

static const struct action actions[] = {
    {"wake", wake}, {"requeue", requeue}, {"unlock", unlock}, {"end-owner", end_owner}, {0},
};
