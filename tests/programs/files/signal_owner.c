// fcntl F_SETOWN, F_SETOWN_EX and F_SETSIG: what is set is what is told, for every descriptor of the description.
#include "../guest.h"

static void print(int fd)
{
    struct f_owner_ex owner = {-1, -1};
    MUST(fcntl(fd, F_GETOWN_EX, &owner));
    printf("type=%d self=%d none=%d signal=%d\n", owner.type, owner.pid == getpid(), owner.pid == 0, fcntl(fd, F_GETSIG));
}

int main(void)
{
    int ends[2];
    MUST(pipe(ends));
    int again = MUST(dup(ends[0]));
    print(ends[0]);
    SHOW(fcntl(ends[0], F_SETOWN, getpid()));
    SHOW(fcntl(ends[0], F_SETSIG, SIGUSR1));
    CHECK(fcntl(again, F_GETOWN) == getpid());
    print(again);
    print(ends[1]);
    SHOW(fcntl(ends[0], F_SETOWN, -getpgrp()));
    CHECK(fcntl(ends[0], F_GETOWN) == -getpgrp());
    struct f_owner_ex owner = {F_OWNER_TID, getpid()};
    SHOW(fcntl(ends[0], F_SETOWN_EX, &owner));
    print(ends[0]);
    owner.type = 9;
    SHOW(fcntl(ends[0], F_SETOWN_EX, &owner));
    owner = (struct f_owner_ex){F_OWNER_PID, 0x7ffffff};
    SHOW(fcntl(ends[0], F_SETOWN_EX, &owner));
    SHOW(fcntl(ends[0], F_SETOWN_EX, 1L));
    SHOW(fcntl(ends[0], F_SETSIG, 65));
    SHOW(fcntl(ends[0], F_SETOWN, 0));
    SHOW(fcntl(ends[0], F_SETSIG, 0));
    print(ends[0]);
    return guest_status();
}
