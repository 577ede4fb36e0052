// A server that does not close a connection at once when its client has ended: what it does is the request's one word.
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FOREVER 600000
#define SHORTLY 100

static int connection;

static void say(const char *text) { write(connection, text, strlen(text)); }

static void read_to_the_end(void) {
    char rest[64];
    while (read(connection, rest, sizeof rest) > 0);
}

// Something that the request has it do elsewhere, when it has been answered.
static void tell(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int other = socket(AF_INET, SOCK_STREAM, 0);
    char go;
    if (connect(other, (struct sockaddr *)&address, sizeof address) == 0 && read(other, &go, 1) == 1)
        write(other, "told", 4);
    close(other);
}

static void serve(const char *request) {
    int port = 0;
    if (!strcmp(request, "answer\n")) {
        say("answer\n");
        read_to_the_end();
        poll(0, 0, FOREVER);
    } else if (!strcmp(request, "late\n")) {
        read_to_the_end();
        poll(0, 0, SHORTLY);
        say("late\n");
    } else if (!strcmp(request, "twice\n")) {
        read_to_the_end();
        say("one ");
        poll(0, 0, SHORTLY);
        say("two\n");
    } else if (sscanf(request, "tell %d\n", &port)) {
        say("later\n");
        read_to_the_end();
        tell(port);
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 16);
    for (;;) {
        char request[64] = "";
        connection = accept(listener, 0, 0);
        if (read(connection, request, sizeof request - 1) > 0) serve(request);
        close(connection);
    }
}
