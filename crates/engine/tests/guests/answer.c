/* Answers each connection with one byte. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        return 1;
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0 || write(connection, "!", 1) != 1)
            return 2;
        close(connection);
    }
}
