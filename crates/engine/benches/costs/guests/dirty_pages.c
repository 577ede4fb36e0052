/* Fills 100 MB, then waits for a connection. A fork of it goes on from there: it dirties 200 scattered pages, reads the
 * first megabytes of the rest (as many as the first argument says), and waits for a connection again. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, AREA = 100 << 20, PAGES = 200, APART = AREA / PAGES / PAGE * PAGE };

int main(int argc, char **argv)
{
    size_t read = argc == 2 ? (size_t)atoi(argv[1]) << 20 : 0;
    volatile char *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || read > AREA)
        return 2;
    memset((char *)area, 7, AREA);

    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        return 3;

    /* Here it is frozen: with a socket that others may send to, it is not brought to rest before. The time is over when a
     * fork begins, so the fork goes on at once. */
    if (socket(AF_INET, SOCK_DGRAM, 0) < 0)
        return 5;
    struct pollfd set = { .fd = listener, .events = POLLIN };
    if (poll(&set, 1, 50) != 0)
        return 4;
    for (size_t i = 0; i < PAGES; i++)
        area[i * APART + 17] = (char)(i % 5);
    char sum = 0;
    for (size_t at = 0; at < read; at += PAGE)
        sum = (char)(sum + area[at]);
    accept(listener, NULL, NULL);
    return sum;
}
