// A program without a terminal: /dev/tty cannot be opened, nothing is a terminal.
#include "../guest.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
    struct termios settings;
    struct winsize size;
    SHOW(open("/dev/tty", O_RDWR));
    for (int fd = 0; fd < 3; fd++) {
        SHOW(isatty(fd));
        SHOW(ioctl(fd, TCGETS, &settings));
        SHOW(ioctl(fd, TIOCGWINSZ, &size));
        SHOW(tcgetpgrp(fd));
    }
    SHOW(isatty(99));
    SHOW(isatty(MUST(open("/dev/null", O_RDWR))));
    CHECK(ttyname(0) == NULL && errno == ENOTTY);
    return guest_status();
}
