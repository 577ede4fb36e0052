// A TCP server thread echoes to several clients in turn; nothing is lost or mixed.
#include "loopback.h"

static int listener;

static void *serve(void *unused)
{
    char block[1000];
    long count;
    (void)unused;
    for (int client = 0; client < 3; client++) {
        int fd = MUST(accept(listener, NULL, NULL));
        while ((count = MUST(read(fd, block, sizeof block))) > 0)
            for (long sent = 0; sent < count;)
                sent += MUST(write(fd, block + sent, count - sent));
        MUST(close(fd));
    }
    return NULL;
}

int main(void)
{
    address where;
    listener = listening_socket(0, &where);
    pthread_t server = guest_thread(serve, NULL);
    for (int client = 0; client < 3; client++) {
        char message[64], answer[64] = "";
        int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), received = 0, count;
        SHOW(connect_to(fd, &where));
        for (int i = 0; i < 20; i++) {
            int length = snprintf(message, sizeof message, "client %d message %d", client, i);
            MUST(write(fd, message, length));
            for (received = 0; received < length; received += count)
                count = MUST(read(fd, answer + received, length - received));
            if (memcmp(message, answer, length) != 0)
                puts("wrong answer");
        }
        printf("%s\n", answer);
        SHOW(shutdown(fd, SHUT_WR));
        SHOW(read(fd, answer, sizeof answer));
        SHOW(close(fd));
    }
    SHOW_CODE(pthread_join(server, NULL));
    return guest_status();
}
