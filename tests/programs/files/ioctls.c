// ioctl: FIONBIO, FIONREAD, FIOCLEX, and terminal requests on what is no terminal.
#include "../guest.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
    int ends[2], on = 1, off = 0, available = -1;
    char byte;
    MUST(pipe(ends));
    SHOW(ioctl(ends[0], FIONBIO, &on));
    SHOW(read(ends[0], &byte, 1));
    CHECK(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    SHOW(ioctl(ends[0], FIONBIO, &off));
    CHECK(!(fcntl(ends[0], F_GETFL) & O_NONBLOCK));
    SHOW(ioctl(ends[0], FIONREAD, &available));
    SHOW(available);
    MUST(write(ends[1], "12345", 5));
    SHOW(ioctl(ends[0], FIONREAD, &available));
    SHOW(available);

    SHOW(ioctl(ends[0], FIOCLEX));
    SHOW(fcntl(ends[0], F_GETFD));
    SHOW(ioctl(ends[0], FIONCLEX));
    SHOW(fcntl(ends[0], F_GETFD));

    int file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(file, "1234567", 7));
    MUST(lseek(file, 2, SEEK_SET));
    SHOW(ioctl(file, FIONREAD, &available));
    SHOW(available);
    struct winsize size;
    struct termios terminal;
    SHOW(ioctl(file, TIOCGWINSZ, &size));
    SHOW(ioctl(file, TCGETS, &terminal));
    SHOW(ioctl(ends[0], TIOCGWINSZ, &size));
    SHOW(ioctl(ends[0], TCGETS, &terminal));
    SHOW(isatty(file));
    SHOW(ioctl(file, 0x12345678, &size));
    SHOW(ioctl(99, FIONBIO, &on));
    SHOW(ioctl(ends[0], FIONBIO, guest_bad_pointer()));
    SHOW(ioctl(ends[0], FIONREAD, guest_bad_pointer()));
    return guest_status();
}
