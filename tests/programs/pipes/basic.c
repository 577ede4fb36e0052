// A pipe: order, short reads, end of file once every write end is closed.
#include "../guest.h"

int main(void)
{
    char content[32];
    int ends[2], flags[2];
    MUST(pipe(ends));
    SHOW(write(ends[1], "hello ", 6));
    SHOW(write(ends[1], "world", 5));
    SHOW(read(ends[0], content, 3));
    SHOW(read(ends[0], content + 3, sizeof content - 3));
    printf("%.11s\n", content);
    SHOW(write(ends[0], "x", 1));
    SHOW(read(ends[1], content, 1));

    int copy = MUST(dup(ends[1]));
    SHOW(write(ends[1], "last", 4));
    MUST(close(ends[1]));
    SHOW(read(ends[0], content, 32));
    MUST(close(copy));
    SHOW(read(ends[0], content, 32));
    SHOW(read(ends[0], content, 0));

    SHOW(pipe2(flags, O_CLOEXEC | O_NONBLOCK));
    SHOW(fcntl(flags[0], F_GETFD));
    SHOW(fcntl(flags[1], F_GETFD));
    SHOW(read(flags[0], content, 1));
    SHOW(pipe2(flags, O_APPEND));
    SHOW(pipe(guest_bad_pointer()));
    return guest_status();
}
