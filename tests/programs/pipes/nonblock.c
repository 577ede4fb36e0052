// A full and an empty pipe without blocking: EAGAIN, partial writes, all or nothing up to PIPE_BUF.
#include "../guest.h"
#include <limits.h>

int main(void)
{
    static char block[70000];
    int ends[2];
    MUST(pipe2(ends, O_NONBLOCK));
    SHOW(read(ends[0], block, 1));
    SHOW(write(ends[1], block, 60000));
    // More than PIPE_BUF may be written in part: to the end of the last free page.
    long more = write(ends[1], block, 10000);
    CHECK(more > 0 && more < 10000);
    SHOW(write(ends[1], block, 1));
    SHOW(read(ends[0], block, 4096));
    SHOW(write(ends[1], block, PIPE_BUF));
    SHOW(write(ends[1], block, 1));
    long total = 0, count;
    while ((count = read(ends[0], block, sizeof block)) > 0)
        total += count;
    CHECK(count == -1 && errno == EAGAIN);
    CHECK(total == 60000 + more);
    // Up to PIPE_BUF bytes are written whole or not at all.
    for (int i = 0; i < 15; i++)
        MUST(write(ends[1], block, 4096));
    MUST(write(ends[1], block, 100));
    SHOW(write(ends[1], block, 4096));
    SHOW(write(ends[1], block, 3996));
    MUST(close(ends[1]));
    while (MUST(read(ends[0], block, sizeof block)) > 0)
        continue;
    SHOW(read(ends[0], block, 1));
    return guest_status();
}
