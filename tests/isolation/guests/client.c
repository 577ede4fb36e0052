// Not a guest: makes requests one after the other, "client PORT COUNT REQUEST", and checks that each gets the same
// answer. Prints it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(atoi(arguments[1]))};
    char request[256], first[4096] = "";
    int length = snprintf(request, sizeof request, "%s\n", arguments[3]);
    for (long made = 0, wanted = atol(arguments[2]); made < wanted; made++) {
        char answer[4096];
        ssize_t got, have = 0;
        int connection = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(connection, (struct sockaddr *)&address, sizeof address)) return perror("connect"), 1;
        if (write(connection, request, length) != length) return perror("write"), 1;
        while ((got = read(connection, answer + have, sizeof answer - 1 - have)) > 0) have += got;
        answer[have] = 0;
        if (made == 0) strcpy(first, answer);
        if (strcmp(first, answer)) return printf("request %ld: %s", made, answer), 1;
        close(connection);
    }
    printf("%s", first);
    return 0;
}
