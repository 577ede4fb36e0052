// clock_gettime: the clocks run, keep their order, and agree about which day it is.
#include "../guest.h"
#include <sys/time.h>

int main(void)
{
    clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                          CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                          CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
    for (int i = 0; i < 9; i++) {
        struct timespec resolution;
        int64_t first = guest_now(clocks[i]), backwards = 0;
        for (int round = 0; round < 1000; round++) {
            int64_t next = guest_now(clocks[i]);
            backwards += next < first;
            first = next;
        }
        MUST(clock_getres(clocks[i], &resolution));
        bool coarse = clocks[i] == CLOCK_REALTIME_COARSE || clocks[i] == CLOCK_MONOTONIC_COARSE;
        printf("clock %d: backwards=%ld fine=%d sane=%d\n", (int)clocks[i], (long)backwards,
               resolution.tv_sec == 0 && resolution.tv_nsec == 1,
               coarse ? resolution.tv_nsec >= 1000000 && resolution.tv_nsec <= 10000000
                      : resolution.tv_nsec <= 10000000);
    }
    int64_t coarse = guest_now(CLOCK_MONOTONIC_COARSE), monotonic = guest_now(CLOCK_MONOTONIC),
            since_boot = guest_now(CLOCK_BOOTTIME);
    CHECK(coarse <= monotonic && monotonic <= since_boot);
    CHECK(llabs(guest_now(CLOCK_REALTIME) - guest_now(CLOCK_REALTIME_COARSE)) < 1000000000);
    // Later than this program was written.
    CHECK(time(NULL) > 1700000000);

    struct timeval day;
    int64_t before = guest_now(CLOCK_REALTIME) / 1000;
    SHOW(gettimeofday(&day, NULL));
    int64_t middle = day.tv_sec * INT64_C(1000000) + day.tv_usec;
    CHECK(before <= middle && middle <= guest_now(CLOCK_REALTIME) / 1000);
    time_t now = time(NULL);
    CHECK(llabs(now - day.tv_sec) <= 2);
    return guest_status();
}
