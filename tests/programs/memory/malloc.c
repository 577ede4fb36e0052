// Many allocations of all sizes, grown and freed in an odd order, in two threads at once.
#include "../guest.h"

enum { SLOTS = 500, ROUNDS = 20000 };

static void *churn(void *argument)
{
    unsigned char *blocks[SLOTS] = {0};
    size_t sizes[SLOTS] = {0};
    unsigned long random = (unsigned long)argument, wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 6364136223846793005ul + 1442695040888963407ul;
        int slot = (random >> 33) % SLOTS;
        // Mostly small; now and then large enough for a mapping of its own.
        size_t size = (random >> 20) % (round % 100 == 0 ? 300000 : 2000) + 1;
        if (blocks[slot] && (blocks[slot][0] != (unsigned char)slot ||
                             blocks[slot][sizes[slot] - 1] != (unsigned char)slot))
            wrong++;
        blocks[slot] = realloc(blocks[slot], size);
        blocks[slot][0] = blocks[slot][size - 1] = (unsigned char)slot;
        sizes[slot] = size;
        if (round % 3 == 0) {
            free(blocks[slot]);
            blocks[slot] = NULL;
        }
    }
    for (int slot = 0; slot < SLOTS; slot++)
        free(blocks[slot]);
    return (void *)wrong;
}

int main(void)
{
    void *wrong;
    pthread_t thread = guest_thread(churn, (void *)1);
    SHOW((long)churn((void *)2));
    pthread_join(thread, &wrong);
    SHOW((long)wrong);
    return guest_status();
}
