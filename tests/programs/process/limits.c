// Resource limits: reading, lowering, raising again, both calls, refusals.
#include "../guest.h"
#include <sys/resource.h>

int main(void)
{
    struct rlimit limit, other;
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        MUST(getrlimit(resource, &limit));
        MUST(prlimit(0, resource, NULL, &other));
        if (limit.rlim_cur > limit.rlim_max || memcmp(&limit, &other, sizeof limit) != 0)
            printf("resource %d is odd\n", resource);
    }
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    struct rlimit lower = {limit.rlim_max / 2, limit.rlim_max}, higher = {2, 1};
    SHOW(setrlimit(RLIMIT_NOFILE, &lower));
    MUST(getrlimit(RLIMIT_NOFILE, &other));
    CHECK(other.rlim_cur == limit.rlim_max / 2);
    CHECK(sysconf(_SC_OPEN_MAX) == (long)(limit.rlim_max / 2));
    SHOW(prlimit(getpid(), RLIMIT_NOFILE, &limit, &other));
    CHECK(other.rlim_cur == limit.rlim_max / 2);
    SHOW(setrlimit(RLIMIT_NOFILE, &higher));
    SHOW(getrlimit(99, &limit));
    SHOW(setrlimit(99, &limit));
    SHOW(prlimit(1 << 30, RLIMIT_NOFILE, NULL, &limit));
    SHOW(syscall(SYS_getrlimit, RLIMIT_NOFILE, guest_bad_pointer()));
    SHOW(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, guest_bad_pointer(), NULL));
    return guest_status();
}
