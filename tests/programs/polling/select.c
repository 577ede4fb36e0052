// select: the three sets, the count, the time left, closed descriptors.
#include "../guest.h"
#include <sys/select.h>

int main(void)
{
    int ends[2];
    fd_set reading, writing, failing;
    struct timeval now = {0, 0}, little = {0, 10000};
    MUST(pipe(ends));
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_ZERO(&failing);
    FD_SET(ends[0], &reading);
    FD_SET(ends[1], &writing);
    FD_SET(ends[0], &failing);
    SHOW(select(ends[1] + 1, &reading, &writing, &failing, &now));
    printf("%d %d %d\n", !!FD_ISSET(ends[0], &reading), !!FD_ISSET(ends[1], &writing),
           !!FD_ISSET(ends[0], &failing));
    MUST(write(ends[1], "x", 1));
    FD_SET(ends[0], &reading);
    SHOW(select(ends[1] + 1, &reading, &writing, NULL, NULL));
    // Only descriptors below the first argument count.
    SHOW(select(ends[0], &reading, NULL, NULL, &now));
    SHOW(FD_ISSET(ends[0], &reading) != 0);

    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(select(0, NULL, NULL, NULL, &little));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 10000000);
    // Linux stores the time that was left.
    SHOW(little.tv_sec + little.tv_usec);
    struct timeval bad = {-1, 0};
    SHOW(select(0, NULL, NULL, NULL, &bad));
    SHOW(select(-1, NULL, NULL, NULL, &now));
    MUST(close(ends[0]));
    FD_ZERO(&reading);
    FD_SET(ends[0], &reading);
    SHOW(select(ends[0] + 1, &reading, NULL, NULL, &now));
    // No reader: writing would not block, it would fail.
    FD_ZERO(&writing);
    FD_SET(ends[1], &writing);
    SHOW(select(ends[1] + 1, NULL, &writing, NULL, NULL));
    SHOW(syscall(SYS_select, 10, guest_bad_pointer(), NULL, NULL, &now));
    return guest_status();
}
