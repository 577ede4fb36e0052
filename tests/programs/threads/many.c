// 64 threads at once, all alive together, each with its own id; then all again.
#include "../guest.h"

enum { COUNT = 64 };

static pthread_barrier_t all_here;
static pid_t ids[COUNT];

static void *record(void *argument)
{
    pid_t *slot = argument;
    *slot = gettid();
    pthread_barrier_wait(&all_here);
    return (void *)(long)(*slot == gettid());
}

int main(void)
{
    pthread_t threads[COUNT];
    pthread_barrier_init(&all_here, NULL, COUNT + 1);
    for (int round = 0; round < 2; round++) {
        int same = 0, good = 0;
        for (int i = 0; i < COUNT; i++)
            threads[i] = guest_thread(record, &ids[i]);
        pthread_barrier_wait(&all_here);
        for (int i = 0; i < COUNT; i++) {
            void *result;
            pthread_join(threads[i], &result);
            good += (long)result;
            for (int other = 0; other < i; other++)
                same += ids[i] == ids[other];
            same += ids[i] == getpid();
        }
        printf("good=%d same=%d\n", good, same);
    }
    return guest_status();
}
