// Files that no fork may share: memory files, and those whose last name is gone; and what is known of them by inode.
#include "server.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>

enum { SIZE = 64 * PAGE, LARGE = 8 << 20, KINDS = 4 };
static const char *const names[KINDS] = {"memfd", "named", "unlinked", "unnamed"};
static int files[KINDS], again[KINDS], sealed, closing;
static char *views[KINDS], *orphan, *private_view;
static struct stat statuses[KINDS];
static volatile sig_atomic_t ticks;

static void fill(int kind, int fd) {
    char path[64];
    files[kind] = fd;
    MUST(ftruncate(fd, SIZE));
    MUST(pwrite(fd, names[kind], strlen(names[kind]), 0));
    MUST(pwrite(fd, "middle", 6, 30 * PAGE));
    MUST(lseek(fd, 3, SEEK_SET));
    views[kind] = (char *)MUST(mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    sprintf(path, "/proc/self/fd/%d", fd);
    again[kind] = MUST(open(path, O_RDWR));
    MUST(flock(fd, LOCK_EX));
    struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    MUST(fcntl(fd, F_OFD_SETLK, &part));
    MUST(fstat(fd, &statuses[kind]));
}

static int unlinked(const char *name) {
    int fd = MUST(open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    MUST(unlink(name));
    return fd;
}

static void fill_large(void) {
    static char bytes[1 << 16];
    memset(bytes, 1, sizeof bytes);
    int fd = MUST(memfd_create("large", MFD_CLOEXEC));
    for (int at = 0; at < LARGE; at += sizeof bytes) MUST(pwrite(fd, bytes, sizeof bytes, at));
}

static void set_up(void) {
    fill(0, MUST(memfd_create("memory", MFD_CLOEXEC)));
    fill(1, MUST(open("/dev/shm/owned", O_RDWR | O_CREAT | O_TRUNC, 0600)));
    fill(2, unlinked("unlinked"));
    fill(3, MUST(open(".", O_RDWR | O_TMPFILE, 0600)));
    private_view = (char *)MUST(mmap(0, SIZE, PROT_READ, MAP_PRIVATE, files[2], 0));
    int fd = unlinked("orphan");
    MUST(ftruncate(fd, SIZE));
    orphan = (char *)MUST(mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    MUST(close(fd));
    strcpy(orphan, "orphan");
    sealed = MUST(memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    MUST(pwrite(sealed, "sealed", 6, 0));
    char *written = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, sealed, 0));
    closing = MUST(memfd_create("closing", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    MUST(ftruncate(closing, PAGE));
    char *before = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, closing, 0));
    MUST(fcntl(closing, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    strcpy(before, "before");
    (void)written;
    // Sealed against writing, and then mapped for reading: older kernels refuse that.
    int fixed = MUST(memfd_create("fixed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    MUST(pwrite(fixed, "fixed", 6, 0));
    MUST(fcntl(fixed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL));
    mmap(0, PAGE, PROT_READ, MAP_SHARED, fixed, 0);
    fill_large();
}

static void count_tick(int signal) { ticks++; }

// Long enough for its limits to be looked at.
static void stay(void) {
    struct itimerval each = {{0, 1000}, {0, 1000}};
    signal(SIGALRM, count_tick);
    MUST(setitimer(ITIMER_REAL, &each, 0));
    while (ticks < 20) continue;
}

static int kind_of(const char *name) {
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(names[kind], name)) return kind;
    MUST(-1);
    return 0;
}

static void write_to(const char *name) {
    int kind = kind_of(name);
    MUST(write(files[kind], "secret-write", 12));
    MUST(pwrite(files[kind], "secret-hole", 11, 50 * PAGE));
}

static void write_view(const char *name) {
    int kind = kind_of(name);
    strcpy(views[kind] + 20 * PAGE, "secret-view");
    if (kind == 2 && strcmp(private_view + 20 * PAGE, "secret-view")) MUST(-1);
}

static void change_length(const char *name) {
    int kind = kind_of(name);
    MUST(ftruncate(files[kind], 10 * PAGE));
    MUST(pwrite(files[kind], "secret-far", 10, 2 * SIZE));
}

static void change_mode(const char *name) { MUST(fchmod(files[kind_of(name)], 0400)); }

static void change_locks(const char *name) {
    int kind = kind_of(name);
    MUST(flock(files[kind], LOCK_UN));
    MUST(flock(again[kind], LOCK_EX | LOCK_NB));
    struct flock part = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    MUST(fcntl(files[kind], F_OFD_SETLK, &part));
}

static void close_all(const char *name) {
    int kind = kind_of(name);
    strcpy(views[kind] + PAGE, "secret-gone");
    MUST(munmap(views[kind], SIZE));
    MUST(close(files[kind]));
    MUST(close(again[kind]));
    if (kind == 1) MUST(unlink("/dev/shm/owned"));
}

static void write_orphan(const char *text) { strcpy(orphan + 5 * PAGE, "secret-orphan"); }

static void seal(const char *text) {
    MUST(pwrite(sealed, "secret-seal", 11, 0));
    MUST(fcntl(sealed, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
}

static void write_closing(const char *text) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[300];
    unsigned long start = 0;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "memfd:closing")) start = strtoul(line, 0, 16);
    fclose(maps);
    strcpy((char *)start, "secret-closing");
}

// What a guest can see of the inode, but for times.
static void describe(int kind) {
    struct stat now, view = {0};
    char link[100], path[64], text[20] = "", *end = answer + strlen(answer);
    struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    MUST(fstat(files[kind], &now));
    sprintf(path, "/proc/self/fd/%d", files[kind]);
    link[MUST(readlink(path, link, sizeof link - 1))] = 0;
    unsigned long long inode = 0;
    int deleted = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[300];
    while (fgets(line, sizeof line, maps))
        if (strtoul(line, 0, 16) == (unsigned long)views[kind]) {
            sscanf(line, "%*s %*s %*s %*s %llu", &inode);
            deleted = strstr(line, " (deleted)\n") != 0;
        }
    fclose(maps);
    MUST(stat(path, &view));
    MUST(fcntl(again[kind], F_OFD_GETLK, &part));
    int locked = flock(again[kind], LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    MUST(pread(files[kind], text, 12, 30 * PAGE));
    char *name = strrchr(link, '/');
    if (kind == 3) name = strstr(link, " (deleted)");
    const struct stat *then = &statuses[kind];
    end += sprintf(end, "%s: inode %d %d %d, deleted %d, links %d, mode %o, size %ld, offset %ld, link %s, ", names[kind],
                   now.st_ino == then->st_ino && now.st_dev == then->st_dev, view.st_ino == then->st_ino,
                   inode == then->st_ino, deleted, (int)now.st_nlink, now.st_mode, (long)now.st_size,
                   (long)lseek(files[kind], 0, SEEK_CUR), name);
    end += sprintf(end, "flock %d, record %d at %ld, text %s %s %s %s\n", locked, part.l_type,
                   (long)part.l_start, views[kind], text, views[kind] + 20 * PAGE, views[kind] + 50 * PAGE);
}

static void look(const char *text) {
    char bytes[20] = "";
    for (int kind = 0; kind < KINDS; kind++) describe(kind);
    MUST(pread(sealed, bytes, 12, 0));
    sprintf(answer + strlen(answer), "%s %s %s %s, seals %d %d\n", orphan, orphan + 5 * PAGE, private_view, bytes,
            fcntl(sealed, F_GET_SEALS), fcntl(closing, F_GET_SEALS));
}

static void leave_alone(const char *text) { stay(); }

static void grow(const char *text) {
    fill_large();
    stay();
}

static const struct action actions[] = {
    {"leave-alone", leave_alone}, {"grow", grow},
    {"write", write_to}, {"view", write_view}, {"length", change_length}, {"mode", change_mode},
    {"locks", change_locks}, {"close", close_all}, {"orphan", write_orphan}, {"seal", seal},
    {"closing", write_closing}, {"look", look}, {0},
};
