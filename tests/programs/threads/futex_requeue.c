// FUTEX_CMP_REQUEUE: waiters move to another word, and are woken there.
#include "../guest.h"
#include <linux/futex.h>

enum { WAITERS = 3 };

static atomic_int first, second, finished;

static long futex(atomic_int *address, int operation, int value, long second_value,
                  atomic_int *other, int compare)
{
    return syscall(SYS_futex, address, operation, value, second_value, other, compare);
}

static void *wait_on_first(void *unused)
{
    (void)unused;
    MUST(futex(&first, FUTEX_WAIT_PRIVATE, 0, 0, NULL, 0));
    atomic_fetch_add(&finished, 1);
    return NULL;
}

int main(void)
{
    pthread_t threads[WAITERS];
    for (int i = 0; i < WAITERS; i++)
        threads[i] = guest_thread(wait_on_first, NULL);
    SHOW(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 0, 10, &second, 77));
    // Moving none but counting: all three are there when all three have been moved.
    int moved = 0;
    while (moved < WAITERS) {
        moved += MUST(futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 0, 10, &second, 0));
        sched_yield();
    }
    SHOW(moved);
    SHOW(futex(&first, FUTEX_WAKE_PRIVATE, 10, 0, NULL, 0));
    SHOW(finished);
    SHOW(futex(&second, FUTEX_WAKE_PRIVATE, 1, 0, NULL, 0));
    SHOW(futex(&second, FUTEX_WAKE_PRIVATE, 10, 0, NULL, 0));
    for (int i = 0; i < WAITERS; i++)
        pthread_join(threads[i], NULL);
    SHOW(finished);
    // FUTEX_WAKE_OP: add 5 to the second word, wake on both if it was 0.
    SHOW(futex(&first, FUTEX_WAKE_OP_PRIVATE, 1, 1, &second,
               FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)));
    SHOW(second);
    return guest_status();
}
