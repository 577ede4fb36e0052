// F_GETPIPE_SZ, F_SETPIPE_SZ: the default, rounding, shrinking below the content.
#include "../guest.h"

static long fill(int fd)
{
    char page[4096] = "";
    long total = 0, count;
    while ((count = write(fd, page, sizeof page)) > 0)
        total += count;
    return total;
}

int main(void)
{
    int ends[2];
    MUST(pipe2(ends, O_NONBLOCK));
    SHOW(fcntl(ends[0], F_GETPIPE_SZ));
    SHOW(fill(ends[1]));
    SHOW(fcntl(ends[1], F_SETPIPE_SZ, 131072));
    SHOW(fcntl(ends[0], F_GETPIPE_SZ));
    SHOW(fill(ends[1]));
    SHOW(fcntl(ends[1], F_SETPIPE_SZ, 65536));
    int other[2];
    MUST(pipe2(other, O_NONBLOCK));
    SHOW(fcntl(other[0], F_SETPIPE_SZ, 1));
    SHOW(fill(other[1]));
    SHOW(fcntl(other[0], F_SETPIPE_SZ, 4097));
    SHOW(fcntl(other[0], F_SETPIPE_SZ, 0));
    int file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    SHOW(fcntl(file, F_GETPIPE_SZ));
    return guest_status();
}
