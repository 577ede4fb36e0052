// The main stack grows on demand: 4 MiB in one frame, and deep recursion.
#include "../guest.h"
#include <alloca.h>
#include <sys/resource.h>

static __attribute__((noinline)) int touch(size_t size)
{
    volatile char *room = alloca(size);
    // From the far end first: a jump over many pages that are not there yet.
    for (size_t at = 0; at < size; at += 4096)
        room[at] = (char)(at >> 12);
    int sum = 0;
    for (size_t at = 0; at < size; at += 4096)
        sum += room[at] == (char)(at >> 12);
    return sum;
}

static __attribute__((noinline)) int descend(int depth)
{
    volatile char room[1024];
    room[0] = (char)depth;
    return depth == 0 ? 0 : descend(depth - 1) + (room[0] == (char)depth);
}

int main(void)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit));
    CHECK(limit.rlim_cur >= 8 << 20);
    SHOW(touch(4 << 20));
    SHOW(descend(5000));
    SHOW(touch(6 << 20));
    return guest_status();
}
