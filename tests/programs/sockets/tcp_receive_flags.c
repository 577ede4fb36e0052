// MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_TRUNC, FIONREAD on a TCP stream.
#include "loopback.h"
#include <sys/ioctl.h>

static void *send_rest(void *argument)
{
    MUST(send(*(int *)argument, "fgh", 3, 0));
    MUST(send(*(int *)argument, "ij", 2, 0));
    return NULL;
}

int main(void)
{
    char content[16] = "";
    int pair[2], available = -1;
    tcp_pair(pair);
    SHOW(recv(pair[1], content, sizeof content, MSG_DONTWAIT));
    MUST(send(pair[0], "abcde", 5, 0));
    SHOW(recv(pair[1], content, 3, MSG_PEEK));
    printf("%.3s\n", content);
    SHOW(recv(pair[1], content, sizeof content, MSG_PEEK | MSG_DONTWAIT));
    SHOW(ioctl(pair[1], FIONREAD, &available));
    SHOW(available);

    pthread_t thread = guest_thread(send_rest, &pair[0]);
    SHOW(recv(pair[1], content, 10, MSG_WAITALL));
    printf("%.10s\n", content);
    pthread_join(thread, NULL);

    // On TCP, MSG_TRUNC throws the bytes away without copying them.
    MUST(send(pair[0], "12345", 5, 0));
    memset(content, '#', sizeof content);
    SHOW(recv(pair[1], content, 3, MSG_TRUNC | MSG_WAITALL));
    CHECK(content[0] == '#');
    SHOW(recv(pair[1], content, sizeof content, 0));
    printf("%.2s\n", content);
    MUST(close(pair[0]));
    SHOW(recv(pair[1], content, sizeof content, MSG_PEEK));
    SHOW(recv(pair[1], content, 10, MSG_WAITALL));
    return guest_status();
}
