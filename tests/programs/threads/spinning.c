// A thread that spins without any system call does not keep the others from running.
#include "../guest.h"

static atomic_int stage;

static void *answer(void *unused)
{
    (void)unused;
    for (int turn = 1; turn < 6; turn += 2) {
        while (atomic_load(&stage) != turn)
            continue;
        atomic_store(&stage, turn + 1);
    }
    return NULL;
}

int main(void)
{
    pthread_t thread = guest_thread(answer, NULL);
    // Both spin at once: only a timer can switch between them on one processor.
    for (int turn = 0; turn < 6; turn += 2) {
        while (atomic_load(&stage) != turn)
            continue;
        atomic_store(&stage, turn + 1);
    }
    while (atomic_load(&stage) != 6)
        continue;
    SHOW(stage);
    SHOW_CODE(pthread_join(thread, NULL));
    return guest_status();
}
