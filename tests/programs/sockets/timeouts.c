// SO_RCVTIMEO and SO_SNDTIMEO: a blocking call gives up with EAGAIN, not before its time.
#include "loopback.h"

int main(void)
{
    static char block[1 << 20];
    address where;
    int pair[2], listener = listening_socket(0, &where);
    struct timeval limit = {0, 20000}, got = {0};
    socklen_t size = sizeof got;
    tcp_pair(pair);
    MUST(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    SHOW(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size));
    CHECK(got.tv_sec == 0 && got.tv_usec >= 20000 && got.tv_usec < 30000);
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(read(pair[0], block, 1));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 20000000);
    MUST(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    SHOW(accept(listener, NULL, NULL));

    // A writer whose peer never reads: parts are written until the time is over.
    MUST(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
    long sent;
    do
        sent = write(pair[0], block, sizeof block);
    while (sent > 0);
    CHECK(sent == -1 && errno == EAGAIN);
    struct timeval bad = {0, 1000000};
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &bad, sizeof bad));
    SHOW(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, 4));
    return guest_status();
}
