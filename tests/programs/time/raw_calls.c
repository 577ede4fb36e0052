// Time from the system call and from the vDSO is the same time, in turn never running backwards.
#include "../guest.h"
#include <sys/time.h>

static int64_t by_call(clockid_t clock)
{
    struct timespec now;
    MUST(syscall(SYS_clock_gettime, clock, &now));
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int main(void)
{
    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME};
    for (int i = 0; i < 4; i++) {
        int wrong = 0, far = 0;
        // A busy machine pauses a program now and then, but not each time.
        for (int round = 0; round < 200; round++) {
            int64_t first = guest_now(clocks[i]), second = by_call(clocks[i]),
                    third = guest_now(clocks[i]);
            wrong += second < first || third < second;
            far += third - first > 50000000;
        }
        printf("clock %d: wrong order=%d far apart=%d\n", (int)clocks[i], wrong, far > 10);
    }
    struct timeval day;
    int64_t before = guest_now(CLOCK_REALTIME) / 1000;
    MUST(syscall(SYS_gettimeofday, &day, NULL));
    CHECK(day.tv_sec * INT64_C(1000000) + day.tv_usec >= before);
    time_t stored = 0, returned = syscall(SYS_time, &stored);
    CHECK(stored == returned && llabs(returned - day.tv_sec) <= 2);
    struct timespec resolution;
    SHOW(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &resolution));
    CHECK(resolution.tv_sec == 0 && resolution.tv_nsec == 1);
    SHOW(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL));
    return guest_status();
}
