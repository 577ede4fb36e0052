// Instructions that ask the processor: cpuid, rdtsc and rdtscp work and tell a consistent story.
#include "../guest.h"
#include <cpuid.h>
#include <x86intrin.h>

int main(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0, processor, highest = __get_cpuid_max(0, NULL);
    CHECK(highest >= 1);
    CHECK(__get_cpuid(1, &a, &b, &c, &d));
    CHECK(!!(d & bit_SSE2) && !!(d & bit_FXSAVE));
    CHECK(!!(c & bit_AVX) == !!__builtin_cpu_supports("avx"));
    unsigned long long first = __rdtsc(), second = __rdtscp(&processor);
    CHECK(second > first);
    int64_t start = guest_now(CLOCK_MONOTONIC);
    while (guest_now(CLOCK_MONOTONIC) == start)
        continue;
    CHECK(__rdtsc() > second);
    if (c & bit_OSXSAVE) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        CHECK((low & 3) == 3);
    }
    return guest_status();
}
