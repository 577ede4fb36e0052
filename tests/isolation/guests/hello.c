/* Answers every connection alike, as fast as it can. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
        return 1;
    for (;;) {
        char request[4096];
        int connection = accept(listener, NULL, NULL);
        if (read(connection, request, sizeof request) > 0 && write(connection, answer, sizeof answer - 1) < 0)
            return 2;
        close(connection);
    }
}
