// Requests that change signals, timers, threads and registers.
#include "server.h"

#include <asm/prctl.h>
#include <fenv.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

static char stack[65536];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void handler(int signal) {}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void set_up(void) {
    pthread_t thread;
    sigset_t all, before;
    signal(SIGUSR2, handler);
    // The thread takes no signals: one that is sent to the process while the main thread blocks it is to stay pending.
    sigfillset(&all);
    MUST(sigprocmask(SIG_SETMASK, &all, &before));
    MUST(pthread_create(&thread, 0, wait_for_ever, 0) ? -1 : 0);
    MUST(sigprocmask(SIG_SETMASK, &before, 0));
}

static void block_signals(const char *text) {
    sigset_t all;
    sigfillset(&all);
    MUST(sigprocmask(SIG_SETMASK, &all, 0));
}

static void leave_pending(const char *text) {
    block_signals(text);
    for (int i = 0; i < 3; i++) MUST(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i}));
    MUST(kill(getpid(), SIGTERM));
    MUST(raise(SIGSEGV));
}

static void handle(const char *text) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_NODEFER};
    sigaddset(&action.sa_mask, SIGHUP);
    MUST(sigaction(SIGINT, &action, 0));
    MUST(signal(SIGUSR2, SIG_IGN) == SIG_ERR ? -1 : 0);
}

static void alternate_stack(const char *text) {
    MUST(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0));
}

static void interval_timer(const char *text) {
    struct itimerval when = {{5, 0}, {5, 0}};
    MUST(setitimer(ITIMER_REAL, &when, 0));
    MUST(setitimer(ITIMER_PROF, &when, 0));
}

static void ticking_timer(const char *text) {
    signal(SIGALRM, handler);
    struct itimerval when = {{0, 5000}, {0, 5000}};
    MUST(setitimer(ITIMER_REAL, &when, 0));
    for (int i = 0; i < 3; i++) pause();
}

static void posix_timer(const char *text) {
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    MUST(timer_settime(timer, 0, &(struct itimerspec){{1, 0}, {1, 0}}, 0));
}

static void alarm_clock(const char *text) { alarm(1000); }

static void *spin(void *unused) {
    for (volatile long turns = 0;; turns++) {}
    return unused;
}

static void start_threads(const char *text) {
    pthread_t thread;
    for (int i = 0; i < 8; i++) MUST(pthread_create(&thread, 0, i % 2 ? spin : wait_for_ever, 0) ? -1 : 0);
}

static void *end_others(void *unused) { syscall(SYS_exit, 0); return 0; }

static void end_threads(const char *text) {
    // A thread that comes and goes leaves the next thread's id changed.
    pthread_t thread;
    MUST(pthread_create(&thread, 0, end_others, 0) ? -1 : 0);
    pthread_mutex_lock(&mutex);
}

static void name_thread(const char *text) { MUST(prctl(PR_SET_NAME, text)); }

static void robust_list(const char *text) {
    static struct { void *next; long offset; void *pending; } list = {&list, 0, 0};
    MUST(syscall(SYS_set_robust_list, &list, sizeof list));
    MUST(syscall(SYS_set_tid_address, stack));
}

static void control_words(const char *text) {
    fesetround(FE_TOWARDZERO);
    unsigned control = 0x9fc0;
    __asm__ volatile("ldmxcsr %0" : : "m"(control));
    unsigned short word = 0x0c7f;
    __asm__ volatile("fldcw %0; fldpi; fldpi" : : "m"(word));
}

static void vectors(const char *text) {
    static char bytes[64] __attribute__((aligned(64)));
    snprintf(bytes, sizeof bytes, "%s", text);
    __builtin_cpu_init();
    __asm__ volatile("movdqa (%0), %%xmm0; movdqa (%0), %%xmm15" : : "r"(bytes) : "xmm0", "xmm15");
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vmovdqa (%0), %%ymm7" : : "r"(bytes));
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vmovdqa64 (%0), %%zmm31; kmovw %%eax, %%k3" : : "r"(bytes), "a"(0x5aa5));
}

// From here to the closing of the connection without a library, which needs its thread pointer.
static void thread_pointer(const char *text) {
    write(connection, "done\n", 5);
    __asm__ volatile(
        "syscall\n"                                               // arch_prctl(ARCH_SET_FS, stack)
        "mov $158, %%eax; mov $0x1001, %%edi; syscall\n"          // arch_prctl(ARCH_SET_GS, stack)
        "mov $3, %%eax; mov %2, %%edi; syscall\n"                 // close(connection)
        "1: mov $34, %%eax; syscall; jmp 1b\n"                    // pause()
        : : "a"(158), "D"(ARCH_SET_FS), "r"(connection), "S"(stack) : "rcx", "r11", "memory");
}

static void segments(const char *text) {
    write(connection, "done\n", 5);
    __asm__ volatile(
        "mov $0x2b, %%ecx; mov %%ecx, %%ds; mov %%ecx, %%es\n"
        "mov $0x2b, %%ecx; mov %%ecx, %%gs\n"
        "std; stc\n"
        "syscall\n"
        "1: mov $34, %%eax; syscall; jmp 1b\n"
        : : "a"(3), "D"(connection) : "rcx", "r11", "memory");
}

static void in_handler(int number) {
    // Ends the request inside of a handler, on the alternate stack.
    write(connection, "done\n", 5);
    close(connection);
    pause();
}

static void handler_frame(const char *text) {
    alternate_stack(text);
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    MUST(sigaction(SIGSEGV, &action, 0));
    *(volatile char *)16 = 1;
}

static void look(const char *text) {
    sigset_t mask, pending;
    stack_t alternate;
    struct itimerval real;
    struct sigaction action;
    unsigned control;
    unsigned short word;
    char name[16];
    __asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(control), "=m"(word));
    MUST(sigprocmask(0, 0, &mask));
    MUST(sigpending(&pending));
    MUST(sigaltstack(0, &alternate));
    MUST(getitimer(ITIMER_REAL, &real));
    MUST(sigaction(SIGUSR2, 0, &action));
    MUST(prctl(PR_GET_NAME, name));
    sprintf(answer, "%lx %lx %d %ld %d %x %x %s %ld\n", *(long *)&mask, *(long *)&pending, alternate.ss_flags,
            (long)real.it_value.tv_sec, action.sa_handler == handler, control, word, name, (long)fegetround());
}

static const struct action actions[] = {
    {"mask", block_signals}, {"pending", leave_pending}, {"handler", handle}, {"altstack", alternate_stack},
    {"itimer", interval_timer}, {"ticking", ticking_timer}, {"timer", posix_timer}, {"alarm", alarm_clock},
    {"threads", start_threads}, {"ended-thread", end_threads}, {"name", name_thread}, {"robust", robust_list},
    {"control-words", control_words}, {"vectors", vectors}, {"thread-pointer", thread_pointer},
    {"segments", segments}, {"frame", handler_frame}, {"look", look}, {0},
};
