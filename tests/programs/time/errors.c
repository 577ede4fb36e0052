// Clocks that do not exist, times that cannot be, and pointers to nowhere.
#include "../guest.h"
#include <sys/time.h>

int main(void)
{
    struct timespec time_value, bad = {0, 1000000000}, negative = {-1, 0}, little = {0, 1};
    SHOW(clock_gettime(99, &time_value));
    SHOW(clock_gettime(12, &time_value));
    SHOW(syscall(SYS_clock_gettime, 99, &time_value));
    SHOW(syscall(SYS_clock_gettime, -99, &time_value));
    SHOW(clock_getres(99, &time_value));
    SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL));
    SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, guest_bad_pointer()));
    SHOW(syscall(SYS_gettimeofday, guest_bad_pointer(), NULL));
    SHOW(syscall(SYS_gettimeofday, NULL, NULL));
    SHOW(nanosleep(&bad, NULL));
    SHOW(nanosleep(&negative, NULL));
    SHOW(nanosleep(guest_bad_pointer(), NULL));
    SHOW(nanosleep(&little, guest_bad_pointer()));
    SHOW_CODE(clock_nanosleep(99, 0, &little, NULL));
    SHOW_CODE(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL));
    SHOW_CODE(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &little, NULL));
    SHOW(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &little, NULL));
    SHOW(clock_settime(CLOCK_MONOTONIC, &little));
    SHOW(clock_settime(99, &little));
    return guest_status();
}
