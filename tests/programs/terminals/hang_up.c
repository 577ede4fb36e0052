// What each end sees when the other is closed.
#include "terminal.h"
#include <pty.h>

static void note(int signal_number)
{
    char text[] = "signal 00\n";
    text[7] = '0' + signal_number / 10;
    text[8] = '0' + signal_number % 10;
    write(1, text, sizeof text - 1);
}

int main(void)
{
    int master = new_master();
    CHECK(!(states(master) & POLLHUP));
    MUST(fcntl(master, F_SETFL, O_NONBLOCK));
    show_read("before it was opened", master);
    int slave = slave_of(master), second = slave_of(master);
    MUST(write(slave, "last words", 10));
    MUST(close(slave));
    CHECK(!(states(master) & POLLHUP));
    MUST(close(second));
    CHECK(states(master) & POLLHUP);
    show_read("closed", master);
    show_read("closed", master);
    slave = slave_of(master);
    show_read("opened again", master);
    type(master, "unread\n");
    MUST(close(master));
    CHECK(states(slave) & POLLHUP);
    show_read("master closed", slave);
    SHOW(write(slave, "x", 1));
    struct termios modes;
    SHOW(tcgetattr(slave, &modes));
    SHOW(isatty(slave));
    MUST(close(slave));

    // A session loses its terminal.
    int out[2];
    MUST(pipe(out));
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    MUST(child);
    if (child == 0) {
        char byte;
        guest_handle(SIGHUP, note, 0);
        guest_handle(SIGCONT, note, 0);
        int terminal = MUST(dup(0));
        MUST(dup2(out[1], 1));
        MUST(write(terminal, "ready", 5));
        // SIGCONT may come with SIGHUP or after it.
        while (read(terminal, &byte, 1) < 0)
            ;
        SHOW(open("/dev/tty", O_RDWR));
        SHOW(getsid(0) == getpid());
        _exit(3);
    }
    MUST(close(out[1]));
    wait_for(master, POLLIN);
    show_read("child", master);
    MUST(close(master));
    char text[512];
    size_t length = 0;
    ssize_t got;
    while ((got = MUST(read(out[0], text + length, sizeof text - 1 - length))) > 0)
        length += got;
    text[length] = 0;
    CHECK(strstr(text, "signal 01\n") && strstr(text, "signal 18\n"));
    printf("%s", strstr(text, "open"));
    int status;
    MUST(waitpid(child, &status, 0));
    SHOW(WEXITSTATUS(status));
    return guest_status();
}
