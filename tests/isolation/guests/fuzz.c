// Makes system calls at random: "fuzz SEED COUNT", with "trace" behind it to say each on standard error first.
#include "server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>

enum { REGION = 64 * PAGE };

static unsigned char *region, *read_only, *hole;
static __thread uint64_t state;

static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t limit) { return (draw() >> 16) % limit; }

static const char *const paths[] = {
    "/scratch/a", "/scratch/b", "/scratch/d", "/scratch/d/x", "/scratch", ".", "..", "/", "", "/proc/self/maps",
    "/proc/self/fd/3", "/proc/self/exe", "/proc/self/fd", "/dev/zero", "/dev/null", "/dev/shm/x", "/scratch/link", "a",
    "/proc/self/task", "/dev/urandom", "/scratch/../scratch/a", "/dev/stdin", "/proc/meminfo", "/scratch/pipe",
};
enum { PATHS = sizeof paths / sizeof *paths, PATH_AREA = 48 * PAGE };

static uint64_t pointer(void) {
    static const uint64_t wild[] = {
        0, 1, 8, 4095, 0x10000, 0x7ffffffff000, 0x7fffffffeff8, 0x7fffffff0000, 0x7fffffff1000, 0x7fffffff3000,
        0x7effffff0000, 0x800000000000, 0xffff800000000000, 0xffffffffff600000, UINT64_MAX, UINT64_MAX - 7,
    };
    switch (below(16)) {
    case 0: return wild[below(sizeof wild / sizeof *wild)];
    case 1: return (uintptr_t)read_only + below(2 * PAGE);
    case 2: return (uintptr_t)hole + below(2) * (PAGE - 8);
    case 3: return (uintptr_t)region + REGION - below(64);
    case 4: return (uintptr_t)region + below(64) * PAGE;
    case 5: case 6: case 7: return (uintptr_t)region + PATH_AREA + below(PATHS) * 64;
    default: return (uintptr_t)region + (below(PATH_AREA) & (below(4) ? -8 : -1));
    }
}

static uint64_t integer(void) {
    static const uint64_t odd[] = {
        0, 1, 2, 3, 4, 7, 8, 16, 24, 32, 63, 64, 65, 100, 127, 128, 255, 256, 511, 512, 1024, 4095, 4096, 4097, 65536,
        1 << 20, 1 << 30, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 32, 1ul << 40, 1ul << 47, INT64_MAX, 1ul << 63,
        UINT64_MAX, UINT64_MAX - 1, -4096ul, -100, 1000000000, 999999999, 0x7ffff000,
    };
    switch (below(4)) {
    case 0: return odd[below(sizeof odd / sizeof *odd)];
    case 1: return below(64);
    case 2: return 1ul << below(64) | 1ul << below(32);
    default: return draw() >> below(64);
    }
}

static uint64_t argument(void) {
    switch (below(8)) {
    case 0: case 1: return below(48);
    case 2: return below(2) ? -100 : -1;
    case 3: case 4: case 5: return pointer();
    default: return integer();
    }
}

static void scatter(void) {
    // Structures with some sense in them: small numbers, descriptors, pointers to more of the same.
    for (int at = 0; at < PATH_AREA; at += 8) {
        uint64_t word = below(3) ? integer() : argument();
        if (below(4) == 0) word = below(50) | below(50) << 32;
        memcpy(region + at, &word, 8);
    }
    for (int path = 0; path < PATHS; path++) strcpy((char *)region + PATH_AREA + path * 64, paths[path]);
}

static void set_up(void) {
    int two[2];
    struct epoll_event event = {.events = EPOLLIN};
    region = (unsigned char *)MUST(mmap(0, REGION + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    MUST(mprotect(region + REGION, PAGE, PROT_NONE));
    hole = region + REGION;
    read_only = (unsigned char *)MUST(mmap(0, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int kind = 0; kind < 3; kind++) {
        MUST(pipe2(two, kind ? O_NONBLOCK : 0));
        MUST(socketpair(AF_UNIX, kind ? SOCK_STREAM : SOCK_DGRAM, 0, two));
        int set = MUST(epoll_create1(0));
        MUST(epoll_ctl(set, EPOLL_CTL_ADD, two[0], &event));
        MUST(eventfd(kind, 0));
        MUST(timerfd_create(kind ? CLOCK_MONOTONIC : CLOCK_REALTIME, 0));
        MUST(ftruncate(MUST(memfd_create("fuzz", kind ? MFD_ALLOW_SEALING : 0)), 3 * PAGE * kind));
        MUST(socket(kind == 2 ? AF_UNIX : AF_INET, kind ? SOCK_STREAM : SOCK_DGRAM, 0));
        MUST(open(kind ? "/scratch" : "/proc/self", O_RDONLY | O_DIRECTORY));
        MUST(open("/scratch/kept", O_RDWR | O_CREAT, 0600));
    }
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    MUST(signalfd(-1, &mask, 0));
    MUST(open("/dev/zero", O_RDWR));
    mkdir("/scratch/d", 0700);
    symlink("/scratch/a", "/scratch/link");
}

static void nothing(int signal) {}

static long call(uint64_t number, const uint64_t *arguments) {
    long result;
    register uint64_t r10 __asm__("r10") = arguments[3], r8 __asm__("r8") = arguments[4], r9 __asm__("r9") = arguments[5];
    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

// Ends, or waits for what never comes.
static int is_skipped(uint64_t number) {
    return number == SYS_exit || number == SYS_exit_group || number == SYS_rt_sigreturn || number == SYS_pause;
}

static long count;
static char trace[16];

static void *make_calls(void *seed) {
    long calls[24];
    state = ((uintptr_t)seed + 1) * 0x9e3779b97f4a7c15;
    // A few calls come often, so that they meet each other's leavings.
    for (int i = 0; i < 24; i++) calls[i] = below(470);
    for (long made = 0; made < count; made++) {
        uint64_t arguments[6], number = below(4) ? calls[below(24)] : below(600);
        if (below(50) == 0) number = draw() >> below(60);
        for (int i = 0; i < 6; i++) arguments[i] = argument();
        if (is_skipped(number & 0xffffffff)) continue;
        if (*trace) {
            dprintf(2, "%ld: %lu(%lx, %lx, %lx, %lx, %lx, %lx)\n", made, number, arguments[0], arguments[1],
                    arguments[2], arguments[3], arguments[4], arguments[5]);
        }
        long result = call(number, arguments);
        // What was made is used.
        if (result > 0 && below(4) == 0) memcpy(region + (below(PATH_AREA) & -8), &result, 8);
        if (made % 64 == 63) scatter();
    }
    return 0;
}

static void fuzz(const char *text) {
    unsigned long seed = 0;
    sscanf(text, "%lu %ld %15s", &seed, &count, trace);
    state = seed + 1;
    scatter();
    // Calls that wait are interrupted now and then.
    struct sigaction action = {.sa_handler = nothing};
    MUST(sigaction(SIGALRM, &action, 0));
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){{0, 3000}, {0, 3000}}, 0));
    pthread_t thread;
    for (int more = 1; more < 3 && seed % 3 == 0; more++) {
        MUST(pthread_create(&thread, 0, make_calls, (void *)(seed + more * 1000003)) ? -1 : 0);
    }
    make_calls((void *)seed);
    strcpy(answer, "survived ");
}

static const struct action actions[] = {{"fuzz", fuzz}, {0}};
