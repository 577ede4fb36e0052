/* What a fork's memory costs: reading and writing a little, finding and undoing what a request changed, and the same
 * request in a process of its own.
 *
 * The child has 100 MB of private mapping: of a memory file, as a fork of a snapshot has it, or anonymous, as a server
 * that forks for each request has it. Its parent gives it commands and looks at it while it waits for the next. */
#define _GNU_SOURCE
#include "interception.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, AREA = 100 << 20, DIRTY = 200, APART = AREA / DIRTY / PAGE * PAGE, SMALL = 256, SMALL_CALLS = 500 };
enum { DROP = 1, POPULATE, TOUCH, COPY, FORK };

const char *const memory_names[MEMORY_ROWS] = {
    [READ_256] = "process_vm_readv of 256 bytes",
    [WRITE_256] = "process_vm_writev of 256 bytes",
    [SCAN_SPARSE] = "PAGEMAP_SCAN of 100 MB, 200 pages present, all copied on write",
    [SCAN_FULL] = "PAGEMAP_SCAN of 100 MB, all present, 200 copied on write",
    [RESET_COLD] = "the first reset: process_vm_writev of 200 scattered pages",
    [RESET] = "the next reset of the same pages, now in the CPU's cache",
    [RESET_BY_CHILD] = "the same, copied by the child itself from a mapping of the image",
    [DIRTY_FIRST] = "the child dirties 200 pages for the first time",
    [DIRTY_AGAIN] = "the child dirties them again after a reset",
    [FORK_EXIT] = "fork, dirty 200 pages, exit, wait: a process of 100 MB",
};

/* struct pm_scan_arg and PAGEMAP_SCAN of linux/fs.h, since 6.7: newer than some distributions' headers. */
struct scan_argument {
    uint64_t size, flags, start, end, walk_end, vector, vector_length, maximum;
    uint64_t inverted, mask, any_of, returned;
};
struct scan_region {
    uint64_t start, end, categories;
};
#define SCAN _IOWR('f', 16, struct scan_argument)
enum { IS_FILE = 1 << 2, IS_PRESENT = 1 << 3, IS_SWAPPED = 1 << 4, IS_ZERO = 1 << 5 };

static void touch(volatile char *area)
{
    for (size_t i = 0; i < DIRTY; i++)
        area[i * APART + 17] = (char)i;
}

/* A child of the child, which does a request's work and exits. */
static int fork_and_exit(volatile char *area)
{
    int status;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            touch(area);
        _exit(0);
    }
    return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : 0;
}

static void obey(struct shared *shared, volatile char *area, const char *image, int commands)
{
    for (int i = 0; i < commands; i++) {
        if (await_turn(shared, CHILD) != 0)
            return;
        double start = now();
        char sum = 0;
        switch (shared->registers[0]) {
        case DROP:
            madvise((void *)area, AREA, MADV_DONTNEED);
            break;
        case POPULATE:
            for (size_t at = 0; at < AREA; at += PAGE)
                sum = (char)(sum + area[at]);
            shared->registers[1] = sum;
            break;
        case TOUCH:
            touch(area);
            break;
        case COPY:
            for (size_t page = 0; page < DIRTY; page++)
                memcpy((char *)area + page * APART, image + page * APART, PAGE);
            break;
        case FORK:
            if (fork_and_exit(area) != 0)
                shared->wrong++;
            break;
        default:
            return;
        }
        shared->nanoseconds = now() - start;
        give_turn(shared, PARENT);
    }
}

/* How long the child took; negative when it did not answer. */
static double command(struct child *child, int what)
{
    child->shared->registers[0] = what;
    give_turn(child->shared, CHILD);
    return await_turn(child->shared, PARENT) == 0 ? child->shared->nanoseconds : -1;
}

/* Starts a child with `area` and `image` mapped, where its parent has them too. */
static const char *start(struct child *child, int cpu, void *area, const char *image, int commands)
{
    child->fd = -1;
    child->shared = new_shared();
    if (child->shared == NULL)
        return "no memory";
    child->shared->turn = PARENT;
    child->pid = start_child(cpu);
    if (child->pid == 0) {
        obey(child->shared, area, image, commands);
        _exit(0);
    }
    return child->pid < 0 ? "fork was refused" : NULL;
}

static void finish(struct child *child)
{
    if (child->pid > 0)
        end_child(child->pid);
    if (child->fd >= 0)
        close(child->fd);
    if (child->shared != NULL)
        free_shared(child->shared);
}

/* Finds the pages that the child has copied, as the platform does; how many regions, or -1. */
static int scan(int pagemap, void *area)
{
    static struct scan_region regions[512];
    struct scan_argument argument = {
        .size = sizeof argument,
        .start = (uint64_t)(uintptr_t)area,
        .end = (uint64_t)(uintptr_t)area + AREA,
        .vector = (uint64_t)(uintptr_t)regions,
        .vector_length = sizeof regions / sizeof regions[0],
        .inverted = IS_FILE | IS_ZERO,
        .mask = IS_FILE | IS_ZERO,
        .any_of = IS_PRESENT | IS_SWAPPED,
    };
    return ioctl(pagemap, SCAN, &argument);
}

static void measure_scan(struct child *child, void *area, struct samples *row)
{
    double start = now();
    int found = scan(child->fd, area);
    if (found == DIRTY)
        add_sample(row, now() - start);
    else
        row->skipped = found < 0 ? "the kernel is older than 6.7" : "PAGEMAP_SCAN found something else";
}

static void measure_small(struct child *child, char *area, struct samples *read, struct samples *write)
{
    char buffer[SMALL];
    struct iovec local = { buffer, SMALL }, remote = { area + 64, SMALL };
    for (int writing = 0; writing < 2; writing++) {
        struct samples *row = writing ? write : read;
        double start = now();
        for (int i = 0; i < SMALL_CALLS; i++) {
            ssize_t done = writing ? process_vm_writev(child->pid, &local, 1, &remote, 1, 0)
                                   : process_vm_readv(child->pid, &local, 1, &remote, 1, 0);
            if (done != SMALL) {
                row->skipped = "access to another process was refused";
                return;
            }
        }
        add_sample(row, (now() - start) / SMALL_CALLS);
    }
}

static void measure_reset(struct child *child, char *area, const char *image, struct samples *row)
{
    struct iovec local[DIRTY], remote[DIRTY];
    for (size_t i = 0; i < DIRTY; i++) {
        local[i] = (struct iovec){ (char *)image + i * APART, PAGE };
        remote[i] = (struct iovec){ area + i * APART, PAGE };
    }
    double start = now();
    if (process_vm_writev(child->pid, local, DIRTY, remote, DIRTY, 0) == (ssize_t)DIRTY * PAGE)
        add_sample(row, now() - start);
    else
        row->skipped = "access to another process was refused";
}

/* A memory file full of something, and two mappings of it: one as the image, one for the child. */
static const char *make_image(char **image, char **area)
{
    static char page[PAGE];
    int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0)
        return "memfd_create was refused";
    memset(page, 7, sizeof page);
    for (off_t at = 0; at < AREA; at += PAGE)
        if (pwrite(fd, page, PAGE, at) != PAGE) {
            close(fd);
            return "no memory";
        }
    *image = mmap(NULL, AREA, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    return *image == MAP_FAILED || *area == MAP_FAILED ? "no memory" : NULL;
}

static const char *measure_snapshot(int cpu, struct samples rows[MEMORY_ROWS])
{
    char *image = MAP_FAILED, *area = MAP_FAILED, path[64];
    struct child child = { .pid = -1, .fd = -1 };
    const char *reason = make_image(&image, &area);
    if (reason == NULL)
        reason = start(&child, cpu, area, image, 16 * SAMPLES);
    if (reason == NULL) {
        snprintf(path, sizeof path, "/proc/%d/pagemap", (int)child.pid);
        child.fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; reason == NULL && i < SAMPLES; i++) {
        command(&child, DROP);
        command(&child, TOUCH);
        measure_scan(&child, area, &rows[SCAN_SPARSE]);
        command(&child, DROP);
        command(&child, POPULATE);
        add_sample(&rows[DIRTY_FIRST], command(&child, TOUCH));
        measure_scan(&child, area, &rows[SCAN_FULL]);
        measure_reset(&child, area, image, &rows[RESET_COLD]);
        double again = command(&child, TOUCH);
        measure_reset(&child, area, image, &rows[RESET]);
        again = command(&child, TOUCH);
        command(&child, COPY);
        command(&child, TOUCH);
        add_sample(&rows[RESET_BY_CHILD], command(&child, COPY));
        add_sample(&rows[DIRTY_AGAIN], again);
        measure_small(&child, area, &rows[READ_256], &rows[WRITE_256]);
        if (again < 0)
            reason = "the child did not answer";
    }
    finish(&child);
    if (image != MAP_FAILED)
        munmap(image, AREA);
    if (area != MAP_FAILED)
        munmap(area, AREA);
    return reason;
}

static const char *measure_fork(int cpu, struct samples *row)
{
    const char *reason = NULL;
    struct child child = { .pid = -1, .fd = -1 };
    char *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return "no memory";
    /* Small pages, whatever the machine's setting is. */
    madvise(area, AREA, MADV_NOHUGEPAGE);
    memset(area, 7, AREA);
    reason = start(&child, cpu, area, NULL, SAMPLES + 1);
    for (int i = 0; reason == NULL && i <= SAMPLES; i++) {
        double taken = command(&child, FORK);
        if (taken < 0 || child.shared->wrong)
            reason = "fork was refused";
        else if (i > 0) /* the first one warms up */
            add_sample(row, taken);
    }
    finish(&child);
    munmap(area, AREA);
    return reason;
}

void measure_memory(int cpu, struct samples rows[MEMORY_ROWS])
{
    if (pin(cpu) != 0)
        return;
    const char *reason = measure_snapshot(cpu, rows);
    for (int row = 0; row < FORK_EXIT; row++)
        if (rows[row].skipped == NULL)
            rows[row].skipped = reason;
    rows[FORK_EXIT].skipped = measure_fork(cpu, &rows[FORK_EXIT]);
}
