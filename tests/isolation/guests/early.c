// Counts its requests. It listens before it is ready: it says where, and waits for a word.
#include "server.h"

static int count;

static void set_up(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char text[16];
    MUST(getsockname(listener, (struct sockaddr *)&address, &length));
    int port = MUST(open("port", O_WRONLY));
    MUST(write(port, text, sprintf(text, "%d", ntohs(address.sin_port))));
    MUST(close(port));
    MUST(read(MUST(open("go", O_RDONLY)), text, sizeof text));
}

static void add(const char *argument) { sprintf(answer, "%d ", ++count); }

// Tells the port of the client, waits until a stranger has connected, and looks whether that one is let in.
static void meet(const char *argument) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char text[16];
    add(argument);
    if (strncmp(argument, "/meet", 5)) return;
    MUST(getpeername(connection, (struct sockaddr *)&address, &length));
    int client = MUST(open("client", O_WRONLY));
    MUST(write(client, text, sprintf(text, "%d", ntohs(address.sin_port))));
    MUST(close(client));
    MUST(read(MUST(open("met", O_RDONLY)), text, sizeof text));
    MUST(fcntl(listener, F_SETFL, O_NONBLOCK));
    if (accept(listener, 0, 0) >= 0) count += 100;
    MUST(fcntl(listener, F_SETFL, 0));
}

static const struct action actions[] = {{"count", add}, {"GET", meet}, {0}};
