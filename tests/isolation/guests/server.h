// What the guests of this directory share: a server with one action for each kind of request.
//
// A request is one line, "ACTION ARGUMENT". The guest does what the action says, answers what it has to say and closes
// the connection, so that the fork is reset. `set_up` makes what the snapshot has before any request comes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096
// A call whose failure means that the test does not test what it says.
#define MUST(call) must((long)(call), #call, __LINE__)

static int listener;
// The connection being served, and what it is answered.
static int connection;
static char answer[4096];

static long must(long result, const char *what, int line) {
    if (result == -1) {
        char text[300];
        int length = snprintf(text, sizeof text, "line %d: %s: %s\n", line, what, strerror(errno));
        write(connection ? connection : 2, text, length);
        _exit(99);
    }
    return result;
}

struct action {
    const char *name;
    void (*act)(const char *argument);
};

// Given by the guest.
static void set_up(void);
static const struct action actions[];

static void serve_one(void) {
    static char request[65536];
    size_t length = 0;
    while (length < sizeof request - 1 && !memchr(request, '\n', length)) {
        ssize_t got = read(connection, request + length, sizeof request - 1 - length);
        if (got <= 0) return;
        length += got;
    }
    request[length] = 0;
    char *name = strtok(request, " \n"), *argument = strtok(0, "\n");
    for (const struct action *action = actions; name && action->name; action++) {
        if (strcmp(action->name, name)) continue;
        action->act(argument ? argument : "");
        strcat(answer, "done\n");
        write(connection, answer, strlen(answer));
        return;
    }
    write(connection, "unknown\n", 8);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    signal(SIGPIPE, SIG_IGN);
    listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address));
    MUST(listen(listener, 64));
    set_up();
    for (;;) {
        connection = accept(listener, 0, 0);
        if (connection < 0) continue;
        answer[0] = 0;
        serve_one();
        close(connection);
        connection = 0;
    }
}
