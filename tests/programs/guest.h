// Shared by the guest programs: output that is the same on every host and in every run.
//
//     SHOW(write(fd, "abc", 3));      prints  write(fd, "abc", 3) = 3   or  ... = -1 EBADF
//     SHOW_CODE(pthread_join(t, 0));  prints  pthread_join(t, 0) -> 0   or  ... -> ESRCH
//     CHECK(a < b);                   prints  a < b: yes                or  ... : NO, and main fails
//     int fd = MUST(open("f", 0));    prints nothing; the program stops with exit status 99 on -1
//     return guest_status();          0, or 1 if a CHECK said NO
//
// Numbers that differ between hosts (addresses, pids, times) are compared in a CHECK, not shown.
#ifndef GUEST_H
#define GUEST_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SHOW(...) guest_show(#__VA_ARGS__, (errno = 0, (long)(__VA_ARGS__)))
#define SHOW_CODE(...) guest_show_code(#__VA_ARGS__, (__VA_ARGS__))
#define CHECK(...) guest_check(#__VA_ARGS__, (__VA_ARGS__))
#define MUST(...) guest_must(#__VA_ARGS__, __LINE__, (long)(__VA_ARGS__))

static _Atomic bool guest_failed;

// A program that a signal kills must have printed what came before it.
__attribute__((constructor)) static void guest_flush_each_line(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
}

static inline const char *guest_error_name(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "unknown error";
}

static inline long guest_show(const char *text, long value)
{
    int error = errno;
    if (value == -1)
        printf("%s = -1 %s\n", text, guest_error_name(error));
    else
        printf("%s = %ld\n", text, value);
    errno = error;
    return value;
}

static inline int guest_show_code(const char *text, int code)
{
    printf("%s -> %s\n", text, guest_error_name(code));
    return code;
}

static inline bool guest_check(const char *text, bool holds)
{
    printf("%s: %s\n", text, holds ? "yes" : "NO");
    if (!holds)
        guest_failed = true;
    return holds;
}

static inline long guest_must(const char *text, int line, long value)
{
    if (value == -1) {
        fprintf(stderr, "line %d: %s: %s\n", line, text, guest_error_name(errno));
        exit(99);
    }
    return value;
}

static inline int guest_status(void)
{
    return guest_failed ? 1 : 0;
}

// An address at which nothing can be mapped. (A constant would make the compiler refuse the call.)
static inline void *guest_bad_pointer(void)
{
    void *volatile address = (void *)8;
    return address;
}

static inline pthread_t guest_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, body, argument);
    if (error) {
        fprintf(stderr, "pthread_create: %s\n", guest_error_name(error));
        exit(99);
    }
    return thread;
}

// Private anonymous memory, or exit status 99.
static inline char *guest_map(size_t length, int protection)
{
    return (char *)MUST(mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static inline void guest_handle(int signal_number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    MUST(sigaction(signal_number, &action, NULL));
}

static inline void guest_handle_info(int signal_number,
                                     void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    MUST(sigaction(signal_number, &action, NULL));
}

// Nanoseconds on a clock.
static inline int64_t guest_now(clockid_t clock)
{
    struct timespec now;
    MUST(clock_gettime(clock, &now));
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#endif
