/*
 * Maps a clock page and a vDSO side by side as the loader does, finds the functions as a C library does, and calls
 * them. Run by the tests of src/vdso:
 *
 *   vdso_probe CLOCK_PAGE VDSO compare       per clock: median and largest difference from the kernel's, in ns
 *   vdso_probe CLOCK_PAGE VDSO monotonic N   reads N times each; fails when a clock goes back
 *   vdso_probe CLOCK_PAGE VDSO others        the other functions
 *   vdso_probe CLOCK_PAGE VDSO protection    fails when the clock page can be written
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static char *clock_page, *image;

static void map(const char *clock_path, const char *image_path)
{
    int clock_file = open(clock_path, O_RDWR), image_file = open(image_path, O_RDONLY);
    struct stat status;
    if (clock_file < 0 || image_file < 0 || fstat(image_file, &status) < 0)
        fail("cannot open: %s", strerror(errno));
    clock_page = mmap(NULL, 4096 + status.st_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (clock_page == MAP_FAILED)
        fail("cannot reserve");
    image = clock_page + 4096;
    if (mmap(clock_page, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, clock_file, 0) == MAP_FAILED
        || mmap(image, status.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, image_file, 0) == MAP_FAILED)
        fail("cannot map: %s", strerror(errno));
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, clock_file, 0) != MAP_FAILED)
        fail("a second, writable mapping of the clock page was possible");
}

/* As musl's __vdsosym: DT_HASH for the number of symbols, versions by DT_VERSYM and DT_VERDEF. */
static void *find(const char *name)
{
    Elf64_Ehdr *header = (Elf64_Ehdr *)image;
    Elf64_Phdr *entry = (Elf64_Phdr *)(image + header->e_phoff);
    Elf64_Dyn *dynamic = NULL;
    for (int i = 0; i < header->e_phnum; i++, entry++)
        if (entry->p_type == PT_DYNAMIC)
            dynamic = (Elf64_Dyn *)(image + entry->p_offset);
    char *strings = NULL;
    Elf64_Sym *symbols = NULL;
    uint32_t *hash = NULL;
    uint16_t *versions = NULL;
    Elf64_Verdef *definitions = NULL;
    for (; dynamic && dynamic->d_tag; dynamic++) {
        char *address = image + dynamic->d_un.d_ptr;
        switch (dynamic->d_tag) {
        case DT_STRTAB: strings = address; break;
        case DT_SYMTAB: symbols = (Elf64_Sym *)address; break;
        case DT_HASH: hash = (uint32_t *)address; break;
        case DT_VERSYM: versions = (uint16_t *)address; break;
        case DT_VERDEF: definitions = (Elf64_Verdef *)address; break;
        }
    }
    if (!strings || !symbols || !hash || !versions || !definitions)
        fail("a table is missing");
    for (uint32_t i = 0; i < hash[1]; i++) {
        if (strcmp(name, strings + symbols[i].st_name) || !symbols[i].st_shndx)
            continue;
        Elf64_Verdef *definition = definitions;
        while (definition->vd_ndx != (versions[i] & 0x7fff)) {
            if (!definition->vd_next)
                fail("%s has an unknown version", name);
            definition = (Elf64_Verdef *)((char *)definition + definition->vd_next);
        }
        Elf64_Verdaux *version = (Elf64_Verdaux *)((char *)definition + definition->vd_aux);
        if (strcmp(strings + version->vda_name, "LINUX_2.6"))
            fail("%s has the version %s", name, strings + version->vda_name);
        return image + symbols[i].st_value;
    }
    fail("%s is missing", name);
    return NULL;
}

static int (*vdso_gettime)(int, struct timespec *);

static int64_t nanoseconds(struct timespec time)
{
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static int64_t kernel_time(int clock)
{
    struct timespec time;
    if (syscall(SYS_clock_gettime, clock, &time))
        fail("the kernel has no clock %d", clock);
    return nanoseconds(time);
}

static int64_t vdso_time(int clock)
{
    struct timespec time = {-1, -1};
    int result = vdso_gettime(clock, &time);
    if (result || time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= 1000000000)
        fail("clock %d: %d, %ld.%ld", clock, result, time.tv_sec, time.tv_nsec);
    return nanoseconds(time);
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum { SAMPLES = 1000 };
static const int CLOCKS[] = {
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
    CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
};

static void compare(void)
{
    static int64_t differences[SAMPLES];
    for (size_t c = 0; c < sizeof CLOCKS / sizeof *CLOCKS; c++) {
        for (int i = 0; i < SAMPLES; i++) {
            int64_t before = kernel_time(CLOCKS[c]), shown = vdso_time(CLOCKS[c]), after = kernel_time(CLOCKS[c]);
            differences[i] = shown < before ? before - shown : shown > after ? shown - after : 0;
        }
        qsort(differences, SAMPLES, sizeof *differences, ascending);
        printf("%d %ld %ld\n", CLOCKS[c], differences[SAMPLES / 2], differences[SAMPLES - 1]);
    }
}

static void monotonic(long rounds)
{
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE};
    int64_t last[4] = {0};
    for (long i = 0; i < rounds; i++) {
        int c = i & 3;
        int64_t now = vdso_time(clocks[c]);
        if (now < last[c])
            fail("clock %d went back by %ld ns", clocks[c], last[c] - now);
        last[c] = now;
    }
}

static void others(void)
{
    int (*getres)(int, struct timespec *) = find("__vdso_clock_getres");
    int (*gettimeofday)(struct timeval *, void *) = find("__vdso_gettimeofday");
    long (*time_)(long *) = find("__vdso_time");
    long (*getcpu)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");

    for (int clock = -1; clock < 20; clock++) {
        struct timespec expected = {0, 0}, got = {0, 0};
        int result = syscall(SYS_clock_getres, clock, &expected) ? -errno : 0;
        if (getres(clock, &got) != result || nanoseconds(got) != nanoseconds(expected))
            fail("resolution of clock %d: %ld, not %ld", clock, nanoseconds(got), nanoseconds(expected));
        if (getres(clock, NULL) != result)
            fail("resolution of clock %d without a place for it", clock);
    }
    struct timespec time;
    if (vdso_gettime(12345, &time) != -EINVAL)
        fail("an unknown clock");

    struct timeval day = {0, 0};
    struct timezone zone = {-1, -1};
    int64_t before = kernel_time(CLOCK_REALTIME) / 1000;
    if (gettimeofday(&day, NULL))
        fail("gettimeofday");
    int64_t difference = day.tv_sec * 1000000L + day.tv_usec - before;
    if (difference < -1000 || difference > 10000000)
        fail("gettimeofday is off by %ld us", difference);
    if (gettimeofday(NULL, NULL) || gettimeofday(&day, &zone) || zone.tz_minuteswest != 0)
        fail("gettimeofday with a zone");

    long seconds = 0, returned = time_(&seconds);
    if (returned != seconds || time_(NULL) < seconds || seconds < before / 1000000 - 1)
        fail("time: %ld, %ld", returned, seconds);

    unsigned cpu = 1, node = 1;
    if (getcpu(&cpu, &node, NULL) || cpu || node || getcpu(NULL, NULL, NULL))
        fail("getcpu: %u, %u", cpu, node);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        fail("usage: vdso_probe CLOCK_PAGE VDSO MODE");
    map(argv[1], argv[2]);
    vdso_gettime = find("__vdso_clock_gettime");
    if (!strcmp(argv[3], "compare"))
        compare();
    else if (!strcmp(argv[3], "monotonic") && argc == 5)
        monotonic(atol(argv[4]));
    else if (!strcmp(argv[3], "others"))
        others();
    else if (!strcmp(argv[3], "protection")) {
        if (mprotect(clock_page, 4096, PROT_READ | PROT_WRITE) == 0)
            fail("the clock page became writable");
    } else
        fail("unknown mode %s", argv[3]);
    return 0;
}
