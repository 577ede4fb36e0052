// A server that answers each connection after its first bytes. With "greets" as argument it says something first.
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments) {
    const int greets = count > 1 && !strcmp(arguments[1], "greets");
    static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nHello";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 16);
    for (;;) {
        char request[512];
        int connection = accept(listener, 0, 0);
        if (greets) write(connection, "HTTP/1.0 200 OK\r\n", 17);
        if (read(connection, request, sizeof request) > 0)
            write(connection, answer + 17 * greets, sizeof answer - 1 - 17 * greets);
        close(connection);
    }
}
