/*
 * The vDSO that every guest gets: time without a system call.
 *
 *   [ clock page, read-only, label "vvar" ][ this image: ELF header, tables, text; label "vdso" ]
 *
 * The host keeps the clock page (src/vdso/clock.rs): for each clock a straight line over the time stamp counter.
 * It is a seqlock: `sequence` is odd while the host writes. Where the page is not usable, for other clocks, and
 * when the host does not come to an end with writing, the functions make the real system call.
 *
 * Built by build.rs with vdso.lds: position-independent, one read-only executable segment, no relocations, no
 * writable data. C libraries and language runtimes find the functions by their names and the version LINUX_2.6.
 */

typedef unsigned int u32;
typedef unsigned long u64;

/* The layout below; `usable` holds it. An image of an older layout, thawed from a snapshot, thus falls back. */
#define LAYOUT 1

/*
 * Cycles that a reader waits for the host to come to an end with writing before it makes the system call: about half
 * a second. A writer may be pre-empted; one that is gone for good, killed in that moment, is all that this is for.
 */
#define PATIENCE (1UL << 30)

#define NANOSECONDS 1000000000UL

/* Mirrored by `Word` in src/vdso/clock.rs. */
struct line {
    u64 base;       /* nanoseconds at tsc_base */
    u64 multiplier; /* nanoseconds per cycle, 32.32 fixed point; 0: make the system call */
};

struct clock_page {
    u64 sequence;
    u64 usable;
    u64 tsc_base;
    u64 coarse_tick; /* resolution of the coarse clocks in nanoseconds, never 0 when usable */
    struct line lines[4];
};

enum { REALTIME_LINE, MONOTONIC_LINE, MONOTONIC_RAW_LINE, BOOTTIME_LINE };

enum {
    CLOCK_REALTIME = 0,
    CLOCK_MONOTONIC = 1,
    CLOCK_MONOTONIC_RAW = 4,
    CLOCK_REALTIME_COARSE = 5,
    CLOCK_MONOTONIC_COARSE = 6,
    CLOCK_BOOTTIME = 7,
};

enum { SYS_gettimeofday = 96, SYS_time = 201, SYS_clock_gettime = 228, SYS_clock_getres = 229 };

struct timespec {
    long tv_sec;
    long tv_nsec;
};

struct timeval {
    long tv_sec;
    long tv_usec;
};

/* The page before this image: vdso.lds puts it there. */
extern const struct clock_page clock_page __attribute__((visibility("hidden")));

static inline u64 load(const u64 *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Fenced on both sides: the reading belongs between the two looks at `sequence`. */
static inline u64 read_tsc(void)
{
    u32 low, high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

static inline long system_call(long number, long first, long second)
{
    long result = number;
    __asm__ volatile("syscall" : "+a"(result) : "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

/* Nanoseconds of one line now, in whole `coarse_tick`s if `coarse`. False: ask the kernel. */
static int read_line(unsigned int index, int coarse, u64 *nanoseconds)
{
    u64 begin = 0;
    for (;;) {
        u64 sequence = load(&clock_page.sequence);
        u64 usable = load(&clock_page.usable);
        u64 tsc_base = load(&clock_page.tsc_base);
        u64 coarse_tick = load(&clock_page.coarse_tick);
        u64 base = load(&clock_page.lines[index].base);
        u64 multiplier = load(&clock_page.lines[index].multiplier);
        u64 tsc = read_tsc();
        if ((sequence & 1) == 0 && load(&clock_page.sequence) == sequence) {
            if (usable != LAYOUT || multiplier == 0)
                return 0;
            /* Counters of two CPUs may differ by a few cycles. */
            u64 cycles = tsc > tsc_base ? tsc - tsc_base : 0;
            u64 now = base + (u64)((unsigned __int128)cycles * multiplier >> 32);
            *nanoseconds = coarse ? now - now % coarse_tick : now;
            return 1;
        }
        if (begin == 0)
            begin = tsc;
        if (tsc - begin > PATIENCE)
            return 0;
        __builtin_ia32_pause();
    }
}

static int read_clock(int clock, u64 *nanoseconds)
{
    switch (clock) {
    case CLOCK_REALTIME:
        return read_line(REALTIME_LINE, 0, nanoseconds);
    case CLOCK_MONOTONIC:
        return read_line(MONOTONIC_LINE, 0, nanoseconds);
    case CLOCK_MONOTONIC_RAW:
        return read_line(MONOTONIC_RAW_LINE, 0, nanoseconds);
    case CLOCK_REALTIME_COARSE:
        return read_line(REALTIME_LINE, 1, nanoseconds);
    case CLOCK_MONOTONIC_COARSE:
        return read_line(MONOTONIC_LINE, 1, nanoseconds);
    case CLOCK_BOOTTIME:
        return read_line(BOOTTIME_LINE, 0, nanoseconds);
    default:
        return 0;
    }
}

int __vdso_clock_gettime(int clock, struct timespec *time)
{
    u64 now;
    if (!read_clock(clock, &now))
        return (int)system_call(SYS_clock_gettime, clock, (long)time);
    time->tv_sec = (long)(now / NANOSECONDS);
    time->tv_nsec = (long)(now % NANOSECONDS);
    return 0;
}

int __vdso_gettimeofday(struct timeval *time, void *timezone)
{
    u64 now;
    if (timezone || !read_clock(CLOCK_REALTIME, &now))
        return (int)system_call(SYS_gettimeofday, (long)time, (long)timezone);
    if (time) {
        time->tv_sec = (long)(now / NANOSECONDS);
        time->tv_usec = (long)(now % NANOSECONDS / 1000);
    }
    return 0;
}

long __vdso_time(long *time)
{
    u64 now;
    if (!read_clock(CLOCK_REALTIME, &now))
        return system_call(SYS_time, (long)time, 0);
    if (time)
        *time = (long)(now / NANOSECONDS);
    return (long)(now / NANOSECONDS);
}

int __vdso_clock_getres(int clock, struct timespec *resolution)
{
    u64 nanoseconds;
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        nanoseconds = 1;
        break;
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        nanoseconds = load(&clock_page.coarse_tick);
        break;
    default:
        nanoseconds = 0;
    }
    if (nanoseconds == 0 || load(&clock_page.usable) != LAYOUT)
        return (int)system_call(SYS_clock_getres, clock, (long)resolution);
    if (resolution) {
        resolution->tv_sec = (long)(nanoseconds / NANOSECONDS);
        resolution->tv_nsec = (long)(nanoseconds % NANOSECONDS);
    }
    return 0;
}

/* A guest has one CPU. */
long __vdso_getcpu(unsigned int *cpu, unsigned int *node, void *cache)
{
    (void)cache;
    if (cpu)
        *cpu = 0;
    if (node)
        *node = 0;
    return 0;
}
