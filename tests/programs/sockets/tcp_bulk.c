// Two MiB through TCP in both directions at once: blocking writes wait for the reader.
#include "loopback.h"

enum { TOTAL = 2 << 20 };

static void *send_all(void *argument)
{
    static unsigned char block[50000];
    for (int sent = 0; sent < TOTAL;) {
        int size = TOTAL - sent < (int)sizeof block ? TOTAL - sent : (int)sizeof block;
        for (int i = 0; i < size; i++)
            block[i] = (unsigned char)((sent + i) % 253);
        int written = MUST(send(*(int *)argument, block, size, 0));
        sent += written;
    }
    MUST(shutdown(*(int *)argument, SHUT_WR));
    return NULL;
}

int main(void)
{
    static unsigned char block[30000];
    int pair[2], count, received = 0, wrong = 0;
    tcp_pair(pair);
    pthread_t sender = guest_thread(send_all, &pair[0]);
    while ((count = MUST(recv(pair[1], block, sizeof block, 0))) > 0) {
        for (int i = 0; i < count; i++)
            wrong += block[i] != (unsigned char)((received + i) % 253);
        received += count;
    }
    SHOW(received);
    SHOW(wrong);
    pthread_join(sender, NULL);
    // The other direction is still open.
    SHOW(send(pair[1], "done", 4, 0));
    SHOW(recv(pair[0], block, sizeof block, 0));
    return guest_status();
}
