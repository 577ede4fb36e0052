// A blocking pipe between threads: far more than it holds arrives whole and in order.
#include "../guest.h"

enum { TOTAL = 1 << 20 };

static void *produce(void *argument)
{
    int fd = *(int *)argument;
    static unsigned char block[10000];
    for (int sent = 0; sent < TOTAL;) {
        int size = TOTAL - sent < 10000 ? TOTAL - sent : 10000;
        for (int i = 0; i < size; i++)
            block[i] = (unsigned char)((sent + i) * 7 % 251);
        // A blocking write writes everything.
        if (MUST(write(fd, block, size)) != size)
            puts("short write");
        sent += size;
    }
    MUST(close(fd));
    return NULL;
}

int main(void)
{
    static unsigned char block[7777];
    int ends[2], received = 0, wrong = 0, count;
    MUST(pipe(ends));
    pthread_t producer = guest_thread(produce, &ends[1]);
    while ((count = MUST(read(ends[0], block, sizeof block))) > 0) {
        for (int i = 0; i < count; i++)
            wrong += block[i] != (unsigned char)((received + i) * 7 % 251);
        received += count;
    }
    SHOW(received);
    SHOW(wrong);
    SHOW_CODE(pthread_join(producer, NULL));
    return guest_status();
}
