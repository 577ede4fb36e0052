// What time has passed since before the freeze, by each clock, in this process and in others.
#include "server.h"
#include <sys/times.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND INT64_C(1000000000)
#define CLOCKS 5

static const int clocks[CLOCKS] = {
    CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE,
};
static int64_t started[CLOCKS], started_ticks;
static int soon, late;
// After how many nanoseconds the late timer runs out; 0 for no timers.
static int64_t late_time;

static int64_t nanoseconds(struct timespec time) { return time.tv_sec * SECOND + time.tv_nsec; }

// As the vDSO says.
static int64_t shown(int clock) {
    struct timespec time;
    MUST(clock_gettime(clock, &time));
    return nanoseconds(time);
}

// As the kernel says.
static int64_t told(int clock) {
    struct timespec time;
    MUST(syscall(SYS_clock_gettime, clock, &time));
    return nanoseconds(time);
}

static int timer(int64_t nanoseconds) {
    struct itimerspec when = {.it_value = {nanoseconds / SECOND, nanoseconds % SECOND}};
    int made = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    MUST(timerfd_settime(made, 0, &when, 0));
    return made;
}

static void set_up(void) {
    for (int i = 0; i < CLOCKS; i++) started[i] = told(clocks[i]);
    started_ticks = times(0);
    soon = timer(late_time ? SECOND : 0);
    late = timer(late_time);
}

static long milliseconds(int64_t nanoseconds) { return nanoseconds / 1000000; }

// Milliseconds passed by CLOCK_MONOTONIC, by each clock, and by CLOCK_MONOTONIC again; "apart" when vDSO and kernel do not
// agree.
static void passed(char *into) {
    into += sprintf(into, "%ld ", milliseconds(told(CLOCK_MONOTONIC) - started[1]));
    for (int i = 0; i < CLOCKS; i++) {
        int64_t before = shown(clocks[i]), between = told(clocks[i]), after = shown(clocks[i]);
        // Each has the coarse clock's ticks at moments of its own.
        int64_t apart = clocks[i] == CLOCK_MONOTONIC_COARSE ? SECOND / 50 : SECOND / 1000;
        if (before > between + apart || between > after + apart) into += sprintf(into, "apart ");
        into += sprintf(into, "%ld ", milliseconds(between - started[i]));
    }
    double up = -1;
    FILE *file = fopen("/proc/uptime", "r");
    if (!file || fscanf(file, "%lf", &up) != 1) up = -1;
    if (file) fclose(file);
    double since_boot = (double)started[3] / SECOND;
    into += sprintf(into, "%ld ", (long)(times(0) - started_ticks) * 1000 / sysconf(_SC_CLK_TCK));
    into += sprintf(into, "%.0f ", (up - since_boot) * 1000);
    sprintf(into, "%ld\n", milliseconds(told(CLOCK_MONOTONIC) - started[1]));
}

static void look(const char *text) {
    uint64_t times;
    int ticks = read(soon, &times, sizeof times) == sizeof times, more = read(late, &times, sizeof times) == sizeof times;
    passed(answer + sprintf(answer, "%d %d ", ticks, more));
}

static void pass_on(int to) {
    passed(answer + sprintf(answer, "0 0 "));
    _exit(write(to, answer, strlen(answer)) < 0);
}

// In another program, which is this one again.
static void execute(int to) {
    char numbers[CLOCKS * 24], *end = numbers;
    for (int i = 0; i < CLOCKS; i++) end += sprintf(end, "%ld ", (long)started[i]);
    MUST(setenv("STARTED", numbers, 1));
    sprintf(numbers, "%ld", (long)started_ticks);
    MUST(setenv("TICKS", numbers, 1));
    MUST(dup2(to, 1));
    MUST(execl("/proc/self/exe", "clocks", (char *)0));
}

static void ask_child(void (*answer_to)(int)) {
    int ends[2];
    MUST(pipe(ends));
    pid_t child = MUST(fork());
    if (child == 0) answer_to(ends[1]);
    ssize_t got = MUST(read(ends[0], answer, sizeof answer - 100));
    answer[got] = 0;
    MUST(waitpid(child, 0, 0));
}

static void look_in_child(const char *text) { ask_child(pass_on); }

static void look_after_exec(const char *text) { ask_child(execute); }

__attribute__((constructor)) static void read_arguments(int count, char **arguments) {
    char *numbers = getenv("STARTED");
    if (count > 1) late_time = atol(arguments[1]) * 1000000;
    if (!numbers) return;
    for (int i = 0; i < CLOCKS; i++) started[i] = strtol(numbers, &numbers, 10);
    started_ticks = atol(getenv("TICKS"));
    pass_on(1);
}

static const struct action actions[] = {
    {"look", look}, {"look-in-child", look_in_child}, {"look-after-exec", look_after_exec}, {0},
};
