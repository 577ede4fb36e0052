/* Waits for a connection or a byte on standard input; for a byte, dirties 10 pages, for an 'a' 100 others too, for a 'c'
 * writes to those and leaves them as they were, and waits for a connection. */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, FEW = 10, MANY = 100 };
static volatile char area[(FEW + MANY) * PAGE] __attribute__((aligned(4096)));

int main(void)
{
    memset((char *)area, 7, sizeof area);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0)
        return 1;
    struct pollfd set[] = { { .fd = listener, .events = POLLIN }, { .fd = 0, .events = POLLIN } };
    char what;
    if (poll(set, 2, -1) != 1 || read(0, &what, 1) != 1)
        return 2;
    for (int i = 0; i < (what == 'a' ? FEW + MANY : FEW); i++)
        area[i * PAGE] = 1;
    for (int i = FEW; what == 'c' && i < FEW + MANY; i++) {
        area[i * PAGE]++;
        area[i * PAGE]--;
    }
    accept(listener, NULL, NULL);
    return 3;
}
