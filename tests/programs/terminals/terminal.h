// Pseudo-terminals, and what is seen at their ends.
#ifndef TERMINAL_H
#define TERMINAL_H

#include "../guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static inline int new_master(void)
{
    int master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(grantpt(master));
    MUST(unlockpt(master));
    return master;
}

static inline int slave_of(int master)
{
    return MUST(open(ptsname(master), O_RDWR | O_NOCTTY));
}

static inline void type(int master, const char *text)
{
    MUST(write(master, text, strlen(text)));
}

static inline void show_text(const char *what, const unsigned char *bytes, ssize_t count)
{
    printf("%s: %zd '", what, count);
    for (ssize_t at = 0; at < count; at++) {
        if (bytes[at] < ' ' || bytes[at] > '~')
            printf("\\%03o", bytes[at]);
        else
            putchar(bytes[at]);
    }
    printf("'\n");
}

// Prints what one read finds, made readable.
static inline void show_read(const char *what, int fd)
{
    unsigned char bytes[256];
    errno = 0;
    ssize_t count = read(fd, bytes, sizeof bytes);
    if (count < 0)
        printf("%s: %s\n", what, guest_error_name(errno));
    else
        show_text(what, bytes, count);
}

// Prints so many bytes, which may come in pieces: Linux echoes while the typed line can be read already.
static inline void show_bytes(const char *what, int fd, ssize_t wanted)
{
    unsigned char bytes[256];
    ssize_t count = 0;
    while (count < wanted)
        count += MUST(read(fd, bytes + count, wanted - count));
    show_text(what, bytes, count);
}

// Waits until so many typed bytes have arrived.
static inline void wait_for_count(int fd, int wanted)
{
    int count = -1;
    while (count != wanted) {
        MUST(ioctl(fd, FIONREAD, &count));
        sched_yield();
    }
}

static inline void wait_for(int fd, short events)
{
    struct pollfd one = {fd, events, 0};
    if (MUST(poll(&one, 1, 10000)) == 0) {
        fprintf(stderr, "nothing came\n");
        exit(98);
    }
}

static inline int states(int fd)
{
    struct pollfd one = {fd, POLLIN | POLLOUT, 0};
    MUST(poll(&one, 1, 0));
    return one.revents;
}

static inline void set_modes(int fd, tcflag_t on, tcflag_t off, int minimum, int time)
{
    struct termios modes;
    MUST(tcgetattr(fd, &modes));
    modes.c_lflag = (modes.c_lflag | on) & ~off;
    if (minimum >= 0) {
        modes.c_cc[VMIN] = minimum;
        modes.c_cc[VTIME] = time;
    }
    MUST(tcsetattr(fd, TCSANOW, &modes));
}

#endif
