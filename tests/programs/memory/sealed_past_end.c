// A private mapping past the end of a file that cannot shrink, made so or grown by mremap: SIGBUS, and EFAULT of the kernel.
#include "../guest.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile sig_atomic_t signal_seen;
static void *volatile where;

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)context;
    signal_seen = signal_number;
    where = information->si_addr;
    siglongjmp(back, 1);
}

static void touch_both_pages(char *map, const int *ends, int zero)
{
    volatile char *seen = map;
    SHOW(write(ends[1], map, 3));
    SHOW(read(ends[0], map + 8, 3));
    CHECK(seen[0] == 'a' && seen[8] == 'a' && seen[4095] == 0);
    // Both are the kernel's accesses, each before the program's own.
    SHOW(write(ends[1], map + 4096, 1));
    SHOW(read(zero, map + 4096, 3));
    signal_seen = 0;
    if (sigsetjmp(back, 1) == 0) {
        seen[4096 + 10] = 1;
        puts("no fault");
    }
    CHECK(signal_seen == SIGBUS && where == map + 4096 + 10);
}

int main(void)
{
    int ends[2];
    int fd = MUST(memfd_create("sealed", MFD_ALLOW_SEALING));
    MUST(write(fd, "abc", 3));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(ftruncate(fd, 0));
    MUST(pipe(ends));
    int zero = MUST(open("/dev/zero", O_RDONLY));
    guest_handle_info(SIGBUS, on_fault, 0);
    char *map = (char *)MUST(mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    touch_both_pages(map, ends, zero);
    map = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    map = (char *)MUST(mremap(map, 4096, 2 * 4096, MREMAP_MAYMOVE));
    touch_both_pages(map, ends, zero);
    return guest_status();
}
