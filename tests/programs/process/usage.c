// sysinfo, getrusage, times: numbers that make sense and only grow.
#include "../guest.h"
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>

static int64_t processor_time(int who)
{
    struct rusage usage;
    MUST(getrusage(who, &usage));
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

int main(void)
{
    struct sysinfo system;
    MUST(sysinfo(&system));
    CHECK(system.uptime > 0);
    CHECK(system.mem_unit > 0 && system.totalram > 0 && system.freeram <= system.totalram);
    CHECK(system.procs > 0);
    SHOW(sysinfo(guest_bad_pointer()));

    int64_t before = processor_time(RUSAGE_SELF), start = guest_now(CLOCK_PROCESS_CPUTIME_ID);
    while (guest_now(CLOCK_PROCESS_CPUTIME_ID) - start < 20000000)
        continue;
    CHECK(processor_time(RUSAGE_SELF) - before >= 10000);
    int64_t of_thread = processor_time(RUSAGE_THREAD), of_process = processor_time(RUSAGE_SELF);
    CHECK(of_thread > 0 && of_thread <= of_process);
    SHOW(processor_time(RUSAGE_CHILDREN));
    struct rusage usage;
    MUST(getrusage(RUSAGE_SELF, &usage));
    CHECK(usage.ru_maxrss > 0);
    SHOW(getrusage(99, &usage));
    SHOW(syscall(SYS_getrusage, RUSAGE_SELF, guest_bad_pointer()));

    struct tms one, two;
    clock_t first = times(&one), second = times(&two);
    CHECK(second >= first);
    CHECK(two.tms_utime >= one.tms_utime && two.tms_stime >= one.tms_stime);
    CHECK(two.tms_cutime == 0 && two.tms_cstime == 0);
    CHECK(one.tms_utime + one.tms_stime > 0);
    SHOW(sysconf(_SC_CLK_TCK));
    return guest_status();
}
