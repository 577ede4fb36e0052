// The futex call itself: waiting, waking, timeouts, bit sets, refusals.
#include "../guest.h"
#include <linux/futex.h>

static atomic_int word, started, awake;

static long futex(atomic_int *address, int operation, int value, const struct timespec *timeout,
                  atomic_int *second, unsigned third)
{
    return syscall(SYS_futex, address, operation, value, timeout, second, third);
}

static void *wait_for_bits(void *bits)
{
    atomic_fetch_add(&started, 1);
    while (atomic_load(&word) == 0)
        futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (unsigned)(long)bits);
    atomic_fetch_add(&awake, 1);
    return NULL;
}

int main(void)
{
    struct timespec five = {0, 5000000}, bad = {0, -1};
    atomic_int zero = 0;
    SHOW(futex(&zero, FUTEX_WAIT, 1, NULL, NULL, 0));
    int64_t start = guest_now(CLOCK_MONOTONIC);
    SHOW(futex(&zero, FUTEX_WAIT_PRIVATE, 0, &five, NULL, 0));
    CHECK(guest_now(CLOCK_MONOTONIC) - start >= 5000000);
    // With a bit set the timeout is a moment, not a length.
    int64_t until = guest_now(CLOCK_MONOTONIC) + 5000000;
    struct timespec moment = {until / 1000000000, until % 1000000000};
    SHOW(futex(&zero, FUTEX_WAIT_BITSET_PRIVATE, 0, &moment, NULL, 1));
    CHECK(guest_now(CLOCK_MONOTONIC) >= until);
    moment.tv_sec = 1;
    SHOW(futex(&zero, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &moment, NULL, 1));
    SHOW(futex(&zero, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&zero, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    SHOW(futex(&zero, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    SHOW(futex(&zero, FUTEX_WAIT, 0, &bad, NULL, 0));
    SHOW(futex((atomic_int *)((char *)&zero + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex(guest_bad_pointer(), FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex(&zero, 99, 0, NULL, NULL, 0));
    SHOW(futex(&zero, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &bad, NULL, 0));

    // Each thread is woken by its own bit only. Waking is repeated until somebody was waiting.
    pthread_t one = guest_thread(wait_for_bits, (void *)1);
    pthread_t two = guest_thread(wait_for_bits, (void *)2);
    while (atomic_load(&started) < 2)
        sched_yield();
    atomic_store(&word, 1);
    while (atomic_load(&awake) < 2) {
        futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 1);
        futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2);
        sched_yield();
    }
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    SHOW(awake);
    return guest_status();
}
