// eventfd: a counter that a read takes whole; its limits and sizes.
#include "../guest.h"
#include <sys/eventfd.h>

int main(void)
{
    uint64_t value = 0;
    uint32_t small;
    int fd = MUST(eventfd(5, EFD_NONBLOCK));
    SHOW(read(fd, &value, sizeof value));
    SHOW(value);
    SHOW(read(fd, &value, sizeof value));
    SHOW((value = 3, write(fd, &value, sizeof value)));
    SHOW((value = 4, write(fd, &value, sizeof value)));
    SHOW((value = 0, write(fd, &value, sizeof value)));
    SHOW(read(fd, &value, sizeof value));
    SHOW(value);

    SHOW(read(fd, &small, sizeof small));
    SHOW(write(fd, &small, sizeof small));
    // A longer read is answered like one of eight bytes.
    uint64_t two[2];
    SHOW(read(fd, two, sizeof two));

    SHOW((value = UINT64_MAX, write(fd, &value, sizeof value)));
    SHOW((value = UINT64_MAX - 1, write(fd, &value, sizeof value)));
    SHOW((value = 1, write(fd, &value, sizeof value)));
    SHOW(read(fd, &value, sizeof value));
    CHECK(value == UINT64_MAX - 1);
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(pread(fd, &value, sizeof value, 0));
    SHOW(eventfd(0, 4));
    SHOW(fcntl(MUST(eventfd(0, EFD_CLOEXEC)), F_GETFD));
    return guest_status();
}
