// RLIMIT_FSIZE: a write stops at the limit; the next one gets SIGXFSZ and EFBIG.
#include "../guest.h"
#include <sys/resource.h>

static volatile sig_atomic_t handled;

static void on_signal(int signal_number)
{
    handled = signal_number;
}

int main(void)
{
    struct rlimit limit;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    guest_handle(SIGXFSZ, on_signal, 0);
    MUST(getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = 1 << 20;
    SHOW(setrlimit(RLIMIT_FSIZE, &limit));
    SHOW(pwrite(fd, "12345678", 8, (1 << 20) - 10));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(write(fd, "12345678", 8));
    SHOW(handled);
    SHOW(write(fd, "x", 1));
    CHECK(handled == SIGXFSZ);
    SHOW(ftruncate(fd, (1 << 20) + 1));
    SHOW(pwrite(fd, "x", 1, (1 << 20) - 1));
    SHOW(lseek(fd, 0, SEEK_END));
    return guest_status();
}
