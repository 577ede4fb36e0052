// A blocking eventfd: a reader waits for a writer, and a writer for a reader.
#include "../guest.h"
#include <sys/eventfd.h>

static int requests, answers;

static void *serve(void *unused)
{
    uint64_t value, sum = 0;
    (void)unused;
    for (int i = 0; i < 500; i++) {
        MUST(read(requests, &value, sizeof value));
        sum += value;
        MUST(write(answers, &value, sizeof value));
    }
    // The counter is full to the brim here, so this waits until main has read.
    value = 1;
    MUST(write(answers, &value, sizeof value));
    return (void *)sum;
}

int main(void)
{
    uint64_t value, sum = 0;
    void *served;
    requests = MUST(eventfd(0, 0));
    answers = MUST(eventfd(0, 0));
    pthread_t thread = guest_thread(serve, NULL);
    for (uint64_t i = 1; i < 500; i++) {
        MUST(write(requests, &i, sizeof i));
        MUST(read(answers, &value, sizeof value));
        sum += value;
    }
    value = UINT64_MAX - 1;
    MUST(write(requests, &value, sizeof value));
    MUST(read(answers, &value, sizeof value));
    CHECK(value == UINT64_MAX - 1);
    MUST(read(answers, &value, sizeof value));
    SHOW(value);
    SHOW_CODE(pthread_join(thread, &served));
    CHECK((uint64_t)served == sum + UINT64_MAX - 1);
    return guest_status();
}
