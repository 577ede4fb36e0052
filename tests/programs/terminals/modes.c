// Without canonical mode; flushing, stopping and translating.
#include "terminal.h"

int main(void)
{
    int master = new_master(), slave = slave_of(master);
    struct termios modes;
    type(master, "line\npart");
    show_bytes("echo", master, 10);
    set_modes(slave, 0, ICANON | ECHO, 1, 0);
    show_read("all that came", slave);
    type(master, "x\r");
    wait_for_count(slave, 2);
    type(master, "\003y");
    wait_for_count(slave, 1);
    show_read("after a signal character", slave);
    // Enough, or not yet.
    set_modes(slave, 0, ICANON | ECHO | ISIG, 3, 0);
    type(master, "ab");
    wait_for_count(slave, 2);
    SHOW(states(slave) & POLLIN);
    MUST(fcntl(slave, F_SETFL, O_NONBLOCK));
    show_read("two of three", slave);
    type(master, "c");
    wait_for_count(slave, 1);
    SHOW(states(slave) & POLLIN);
    show_read("three of three", slave);
    MUST(fcntl(slave, F_SETFL, 0));
    set_modes(slave, 0, 0, 0, 0);
    show_read("none wanted", slave);
    set_modes(slave, 0, 0, 0, 1);
    int64_t before = guest_now(CLOCK_MONOTONIC);
    show_read("a tenth of a second", slave);
    CHECK(guest_now(CLOCK_MONOTONIC) - before >= 90000000);
    type(master, "now");
    wait_for_count(slave, 3);
    show_read("at once", slave);

    set_modes(slave, ICANON | ECHO | ISIG, 0, 1, 0);
    type(master, "gone\nlost");
    show_bytes("echo", master, 10);
    SHOW(tcflush(slave, TCIFLUSH));
    type(master, "kept\n");
    show_read("after a flush", slave);
    show_bytes("echo", master, 6);
    SHOW(tcflush(slave, TCOFLUSH));
    type(master, "typed");
    show_bytes("echo", master, 5);
    MUST(tcgetattr(slave, &modes));
    MUST(tcsetattr(slave, TCSAFLUSH, &modes));
    type(master, "\n");
    show_read("set with a flush", slave);
    show_bytes("echo", master, 2);

    // Stopped, nothing can be written.
    type(master, "\023");
    while (states(slave) & POLLOUT)
        sched_yield();
    MUST(fcntl(slave, F_SETFL, O_NONBLOCK));
    SHOW(write(slave, "x", 1));
    type(master, "\021");
    while (!(states(slave) & POLLOUT))
        sched_yield();
    SHOW(write(slave, "x", 1));
    SHOW(tcflow(slave, TCOOFF));
    SHOW(write(slave, "x", 1));
    SHOW(tcflow(slave, TCOON));
    SHOW(write(slave, "y", 1));
    show_bytes("shown", master, 2);
    SHOW(tcdrain(slave));
    SHOW(tcsendbreak(slave, 0));

    MUST(tcgetattr(slave, &modes));
    modes.c_iflag = INLCR | IGNCR;
    modes.c_oflag = OPOST | OCRNL;
    modes.c_lflag &= ~ECHOCTL;
    MUST(tcsetattr(master, TCSANOW, &modes));
    type(master, "\rab\001\ncd\004");
    show_read("translated", slave);
    show_bytes("echoed", master, 6);
    MUST(write(slave, "x\ry\n", 4));
    show_bytes("written", master, 4);
    modes.c_oflag = 0;
    modes.c_lflag = 0;
    MUST(tcsetattr(slave, TCSANOW, &modes));
    MUST(write(slave, "x\ry\n", 4));
    show_bytes("raw", master, 4);
    SHOW(ioctl(slave, TCGETS, guest_bad_pointer()));
    SHOW(ioctl(slave, TCSETS, guest_bad_pointer()));
    SHOW(tcflush(slave, 7));
    return guest_status();
}
