// Affinity, processor number, yielding, niceness, scheduling policy.
#include "../guest.h"
#include <sys/resource.h>

int main(void)
{
    cpu_set_t set, one;
    unsigned processor = -1, node = -1;
    SHOW(sched_getaffinity(0, sizeof set, &set));
    CHECK(CPU_COUNT(&set) >= 1);
    CHECK(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    SHOW(getcpu(&processor, &node));
    CHECK(CPU_ISSET(processor, &set));
    CHECK(sched_getcpu() >= 0);

    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    MUST(sched_getaffinity(0, sizeof set, &set));
    CHECK(CPU_EQUAL(&set, &one));
    CHECK(sched_getcpu() == (int)processor);
    CPU_ZERO(&one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    SHOW(sched_getaffinity(0, 1, &set));
    SHOW(sched_getaffinity(1 << 30, sizeof set, &set));
    SHOW(sched_yield());

    int before = getpriority(PRIO_PROCESS, 0);
    SHOW(setpriority(PRIO_PROCESS, 0, before + 1));
    SHOW(getpriority(PRIO_PROCESS, 0) - before);
    SHOW(getpriority(99, 0));
    SHOW(getpriority(PRIO_PROCESS, 1 << 30));
    struct sched_param parameter = {-1};
    SHOW(sched_getscheduler(0));
    SHOW(sched_getparam(0, &parameter));
    SHOW(parameter.sched_priority);
    SHOW(sched_setscheduler(0, SCHED_OTHER, &parameter));
    SHOW(sched_get_priority_min(SCHED_FIFO));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_max(SCHED_OTHER));
    SHOW(sched_get_priority_max(99));
    return guest_status();
}
