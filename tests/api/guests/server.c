// A small HTTP server with blocking accept. It counts its visits in a global and does on request what guests do wrong.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int visits;
static char secret[64];
static volatile char large[64 << 20];

static int starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
    if (count > 1) address.sin_port = htons(atoi(arguments[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("listen");
        return 1;
    }
    for (;;) {
        char request[1024] = "", body[128], answer[512];
        int connection = accept(listener, 0, 0);
        if (connection < 0) continue;
        if (read(connection, request, sizeof request - 1) <= 0) {
            close(connection);
            continue;
        }
        visits++;
        if (starts(request, "GET /crash")) raise(SIGSEGV);
        if (starts(request, "GET /exit")) exit(3);
        if (starts(request, "GET /spin")) for (;;) {}
        if (starts(request, "GET /sleep")) pause();
        if (starts(request, "GET /stall")) {
            printf("stalls\n"), fflush(stdout);
            while (read(connection, request, sizeof request) > 0) {}
            printf("broken\n"), fflush(stdout);
        }
        int dear = starts(request, "GET /large") || (starts(request, "GET /fourth") && visits % 4 == 0);
        if (dear) for (unsigned at = 0; at < sizeof large; at += 4096) large[at] = 1;
        if (starts(request, "GET /say")) { printf("said\n"); fflush(stdout); }
        if (starts(request, "GET /keep/")) sscanf(request, "GET /keep/%63s", secret);
        snprintf(body, sizeof body, "%d %s\n", visits, secret);
        snprintf(answer, sizeof answer, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        write(connection, answer, strlen(answer));
        close(connection);
    }
}
