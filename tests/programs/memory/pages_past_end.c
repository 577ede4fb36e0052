// A file mapping past the end of its file: zeros to the page's end, then SIGBUS, then growth.
#include "../guest.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile sig_atomic_t signal_seen, code;
static void *volatile where;

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)context;
    signal_seen = signal_number;
    code = information->si_code;
    where = information->si_addr;
    siglongjmp(back, 1);
}

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "abc", 3));
    volatile char *map =
        (char *)MUST(mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    guest_handle_info(SIGBUS, on_fault, 0);
    CHECK(map[2] == 'c' && map[3] == 0 && map[4095] == 0);
    if (sigsetjmp(back, 1) == 0) {
        map[4096 + 10] = 1;
        puts("no fault");
    }
    CHECK(signal_seen == SIGBUS && code == BUS_ADRERR);
    CHECK(where == map + 4096 + 10);
    // The kernel meets the same end, and says EFAULT.
    int ends[2];
    MUST(pipe(ends));
    SHOW(write(ends[1], (char *)map + 4096, 1));
    MUST(ftruncate(fd, 3 * 4096));
    map[4096 + 10] = 7;
    SHOW(map[4096 + 10]);
    // Writing past the end within the page does not change the file's size.
    MUST(ftruncate(fd, 3));
    map[100] = 'x';
    SHOW(lseek(fd, 0, SEEK_END));
    return guest_status();
}
