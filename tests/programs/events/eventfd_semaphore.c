// EFD_SEMAPHORE: each read takes one.
#include "../guest.h"
#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
    uint64_t value = 2;
    int fd = MUST(eventfd(1, EFD_SEMAPHORE | EFD_NONBLOCK));
    SHOW(write(fd, &value, sizeof value));
    for (int i = 0; i < 4; i++) {
        struct pollfd poller = {.fd = fd, .events = POLLIN | POLLOUT};
        MUST(poll(&poller, 1, 0));
        printf("in=%d out=%d\n", !!(poller.revents & POLLIN), !!(poller.revents & POLLOUT));
        if (SHOW(read(fd, &value, sizeof value)) == 8)
            SHOW(value);
    }
    // A full counter cannot be written, and says so to poll.
    value = UINT64_MAX - 1;
    MUST(write(fd, &value, sizeof value));
    struct pollfd poller = {.fd = fd, .events = POLLIN | POLLOUT};
    MUST(poll(&poller, 1, 0));
    CHECK(poller.revents == POLLIN);
    return guest_status();
}
