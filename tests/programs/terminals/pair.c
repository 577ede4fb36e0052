// A pseudo-terminal: its names, its settings, and lines that are edited and echoed.
#include "terminal.h"
#include <sys/sysmacros.h>

int main(void)
{
    int master = MUST(posix_openpt(O_RDWR | O_NOCTTY)), number = -1, locked = -1;
    char name[64], other[64];
    struct stat status, same;
    MUST(ioctl(master, TIOCGPTN, &number));
    MUST(ptsname_r(master, name, sizeof name) ? -1 : 0);
    snprintf(other, sizeof other, "/dev/pts/%d", number);
    CHECK(strcmp(name, other) == 0);
    MUST(ioctl(master, TIOCGPTLCK, &locked));
    SHOW(locked);
    SHOW(open(name, O_RDWR | O_NOCTTY));
    MUST(unlockpt(master));
    int slave = MUST(open(name, O_RDWR | O_NOCTTY));
    SHOW(isatty(master));
    SHOW(isatty(slave));
    CHECK(strcmp(ttyname(slave), name) == 0);
    MUST(fstat(slave, &status));
    MUST(stat(name, &same));
    CHECK(S_ISCHR(status.st_mode) && status.st_rdev == same.st_rdev && status.st_ino == same.st_ino);
    CHECK(major(status.st_rdev) == 136 && (int)minor(status.st_rdev) == number);
    MUST(fstat(master, &status));
    CHECK(S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2));

    struct termios modes;
    MUST(tcgetattr(slave, &modes));
    printf("%o %o %o %o\n", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag);
    for (int at = 0; at <= VEOL2; at++)
        printf("%d ", modes.c_cc[at]);
    printf("%d\n", cfgetospeed(&modes) == B38400);
    struct winsize size = {24, 80, 1, 2}, seen;
    MUST(ioctl(slave, TIOCGWINSZ, &seen));
    printf("%d %d\n", seen.ws_row, seen.ws_col);
    SHOW(ioctl(master, TIOCSWINSZ, &size));
    MUST(ioctl(slave, TIOCGWINSZ, &seen));
    printf("%d %d %d %d\n", seen.ws_row, seen.ws_col, seen.ws_xpixel, seen.ws_ypixel);
    SHOW(ioctl(slave, TIOCGPTN, &number));
    pid_t group;
    SHOW(ioctl(slave, TIOCGPGRP, &group));
    SHOW(ioctl(slave, TIOCGSID, &group));
    SHOW(lseek(slave, 0, SEEK_CUR));

    // What is written is shown with carriage returns; what is typed is echoed and comes by lines.
    SHOW(write(slave, "one\ntwo\n", 8));
    show_bytes("master", master, 10);
    type(master, "line\r");
    show_read("slave", slave);
    show_bytes("master", master, 6);
    type(master, "ab\177c\025kill\027word x\bz\n");
    show_read("slave", slave);
    show_bytes("master", master, 39);
    type(master, "first\nsecond\nthird");
    wait_for_count(slave, 13);
    show_read("slave", slave);
    char part[3];
    SHOW(read(slave, part, 3));
    show_read("slave", slave);
    SHOW(states(slave) & POLLIN);
    type(master, "\004");
    show_read("slave", slave);
    type(master, "\004");
    show_read("slave", slave);
    show_bytes("master", master, 20);
    // Literally, as control characters are shown.
    type(master, "\026\003\001\n");
    show_read("slave", slave);
    show_bytes("master", master, 8);
    type(master, "a\tb\177\177\177\n");
    show_read("slave", slave);
    show_bytes("master", master, 18);
    type(master, "again\022\n");
    show_read("slave", slave);
    show_bytes("master", master, 16);

    // The same slave without a name.
    int peer = MUST(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    SHOW(fcntl(peer, F_GETFD));
    CHECK(strcmp(ttyname(peer), name) == 0);
    SHOW(write(peer, "x", 1));
    show_bytes("master", master, 1);
    MUST(close(master));
    SHOW(access(name, F_OK));
    return guest_status();
}
