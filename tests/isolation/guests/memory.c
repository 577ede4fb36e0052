// Requests that change memory and mappings in every way that there is.
#include "server.h"
#include <sys/wait.h>

enum { SIZE = 64 * PAGE };

static char *region, *shared, *reserved, *wiped, *file_view, *file_private;
static int file, sealed;
static char data[3 * PAGE] = "data";

static char *map(size_t size, int protection, int flags) {
    return (char *)MUST(mmap(0, size, protection, flags | MAP_ANONYMOUS, -1, 0));
}

static void set_up(void) {
    region = map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    shared = map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
    reserved = map(1 << 30, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
    wiped = map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int at = 0; at < SIZE; at += 64) region[at] = shared[at] = wiped[at] = at / 64 + 1;
    MUST(madvise(wiped, SIZE, MADV_WIPEONFORK));
    file = MUST(memfd_create("file", MFD_CLOEXEC));
    MUST(ftruncate(file, SIZE));
    file_view = (char *)MUST(mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    file_private = (char *)MUST(mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
    memcpy(file_view, "first", 5);
    memcpy(file_view + 9 * PAGE, "ninth", 5);
    file_private[3 * PAGE] = 'p';
    sealed = MUST(memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    MUST(pwrite(sealed, "sealed", 6, 0));
}

static void write_stores(const char *text) {
    strcpy(data + PAGE, text);
    strcpy(region + 5 * PAGE, text);
    strcpy(malloc(100000), text);
    char *deep = alloca(5 * PAGE);
    strcpy(deep, text);
    __asm__ volatile("" : : "r"(deep) : "memory");
}

static void write_shared(const char *text) { strcpy(shared + PAGE, text); }

// What was private memory of the host becomes a file, for there is somebody to share it with.
static void share_with_child(const char *text) {
    pid_t child = MUST(fork());
    if (child == 0) {
        strcpy(shared + PAGE, text);
        _exit(0);
    }
    MUST(waitpid(child, 0, 0));
    if (strcmp(shared + PAGE, text)) MUST(-1);
}

static void map_more(const char *text) {
    strcpy(map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE), text);
    strcpy(map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED), text);
    map(1 << 20, PROT_NONE, MAP_PRIVATE);
}

static void unmap(const char *text) {
    MUST(munmap(region + 8 * PAGE, 8 * PAGE));
    MUST(munmap(shared, SIZE));
    MUST(munmap(file_view, PAGE));
}

static void unmap_and_fill(const char *text) {
    MUST(munmap(region, SIZE));
    char *here = (char *)MUST(mmap(region, SIZE, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    strcpy(here + 7 * PAGE, text);
}

static void protect(const char *text) {
    strcpy(region + PAGE, text);
    MUST(mprotect(region, 4 * PAGE, PROT_READ));
    MUST(mprotect(region + 8 * PAGE, PAGE, PROT_NONE));
    MUST(mprotect(reserved + (1 << 20), PAGE, PROT_READ | PROT_WRITE));
    strcpy(reserved + (1 << 20), text);
    uintptr_t code = (uintptr_t)protect & -PAGE;
    MUST(mprotect((void *)code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
    *(volatile char *)(code + 1) = *(volatile char *)(code + 1);
}

static void protect_written(const char *text) {
    // A page that the guest itself may not write any more when it is to be put back.
    for (int at = 0; at < SIZE; at += PAGE) strcpy(region + at, text);
    MUST(mprotect(region, SIZE, PROT_NONE));
}

static void grow(const char *text) {
    char *moved = (char *)MUST(mremap(region, SIZE, 4 * SIZE, MREMAP_MAYMOVE));
    strcpy(moved + 3 * SIZE, text);
    strcpy(moved, text);
}

static void shrink(const char *text) { MUST(mremap(region, SIZE, PAGE, 0)); }

static void move(const char *text) {
    char *place = map(SIZE, PROT_NONE, MAP_PRIVATE);
    strcpy(region + PAGE, text);
    MUST(mremap(region, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place));
    MUST(mremap(file_view, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, reserved + (1 << 21)));
    strcpy(place, text);
}

static void map_over(const char *text) {
    strcpy((char *)MUST(mmap(region + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                             -1, 0)), text);
    MUST(mmap(data + PAGE - ((uintptr_t)data & (PAGE - 1)), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
              -1, 0));
    strcpy((char *)MUST(mmap(shared, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0)), text);
}

static void drop(const char *text) {
    MUST(madvise(region, SIZE, MADV_DONTNEED));
    MUST(madvise(file_private, SIZE, MADV_DONTNEED));
}

static void drop_much(const char *text) {
    MUST(madvise(shared, SIZE, MADV_REMOVE));
    MUST(madvise(file_view + 8 * PAGE, 8 * PAGE, MADV_REMOVE));
}

static void wipe(const char *text) {
    strcpy(wiped, text);
    MUST(madvise(region, SIZE, MADV_WIPEONFORK));
    MUST(madvise(wiped, PAGE, MADV_KEEPONFORK));
    strcpy(region, text);
}

static void extend(const char *text) {
    char *end = sbrk(0);
    MUST(brk(end + (1 << 20)) ? -1 : 0);
    strcpy(end + (1 << 19), text);
}

static void retract(const char *text) {
    char *end = sbrk(0);
    MUST(brk(end - PAGE) ? -1 : 0);
}

static void write_file(const char *text) {
    MUST(pwrite(file, text, strlen(text), 0));
    MUST(pwrite(file, text, strlen(text), 40 * PAGE));
}

static void write_file_view(const char *text) {
    strcpy(file_view, text);
    strcpy(file_view + 20 * PAGE + 100, text);
    strcpy(file_private + 5 * PAGE, text);
}

static void lengthen_file(const char *text) {
    MUST(ftruncate(file, 4 * SIZE));
    MUST(pwrite(file, text, strlen(text), 3 * SIZE));
}

static void shorten_file(const char *text) { MUST(ftruncate(file, PAGE)); }

static void punch_file(const char *text) {
    MUST(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 9 * PAGE, PAGE));
}

static void new_file(const char *text) {
    int fd = MUST(memfd_create("new", 0));
    MUST(write(fd, text, strlen(text)));
    MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static void seal_file(const char *text) { MUST(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE)); }

static void close_file(const char *text) {
    MUST(pwrite(file, text, strlen(text), 0));
    MUST(close(file));
    MUST(munmap(file_view, SIZE));
}

static void look(const char *text) {
    int sums = 0;
    for (int at = 0; at < SIZE; at += 64) sums += region[at] + shared[at] * 3 + wiped[at] * 7;
    char first[8] = "", sealing[8] = "";
    MUST(pread(file, first, 5, 0));
    MUST(pread(sealed, sealing, 6, 0));
    sprintf(answer, "%d %.20s %s %s %.5s %c %ld\n", sums, data, first, sealing, file_view + 9 * PAGE,
            file_private[3 * PAGE], (long)lseek(file, 0, SEEK_END));
}

static const struct action actions[] = {
    {"write", write_stores}, {"write-shared", write_shared}, {"share-with-child", share_with_child}, {"map", map_more}, {"unmap", unmap},
    {"unmap-and-fill", unmap_and_fill}, {"protect", protect}, {"protect-written", protect_written}, {"grow", grow},
    {"shrink", shrink}, {"move", move}, {"map-over", map_over}, {"drop", drop}, {"drop-much", drop_much},
    {"wipe", wipe}, {"extend", extend}, {"retract", retract}, {"write-file", write_file},
    {"write-file-view", write_file_view}, {"lengthen-file", lengthen_file}, {"shorten-file", shorten_file},
    {"punch-file", punch_file}, {"new-file", new_file}, {"seal-file", seal_file}, {"close-file", close_file},
    {"look", look}, {0},
};
