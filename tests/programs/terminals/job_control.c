// A terminal and its session: who is in the foreground, and what keys and the background do.
#include "terminal.h"
#include <pty.h>

static volatile sig_atomic_t resized;

static void note(int signal_number)
{
    (void)signal_number;
    resized = 1;
}

static void into_group(pid_t child)
{
    MUST(setpgid(child, child));
}

static void told(pid_t child, const char *what)
{
    int status;
    MUST(waitpid(child, &status, WUNTRACED));
    if (WIFSTOPPED(status))
        printf("%s: stopped by %d\n", what, WSTOPSIG(status));
    else if (WIFSIGNALED(status))
        printf("%s: killed by %d\n", what, WTERMSIG(status));
    else
        printf("%s: exited with %d\n", what, WEXITSTATUS(status));
}

// The session's leader: a shell, as far as it concerns the terminal.
static void lead(void)
{
    char line[32];
    CHECK(tcgetpgrp(0) == getpid() && tcgetsid(0) == getpid() && getsid(0) == getpid());
    int tty = MUST(open("/dev/tty", O_RDWR | O_CLOEXEC));
    CHECK(tcgetpgrp(tty) == getpid());
    SHOW(ioctl(tty, TIOCSCTTY, 0));
    guest_handle(SIGWINCH, note, SA_RESTART);
    printf("ready\n");
    while (!resized)
        pause();
    struct winsize size;
    MUST(ioctl(0, TIOCGWINSZ, &size));
    printf("%d %d\n", size.ws_row, size.ws_col);
    guest_handle(SIGTTOU, SIG_IGN, 0);

    // In the foreground, keys reach it.
    pid_t child = MUST(fork());
    if (child == 0) {
        guest_handle(SIGTTOU, SIG_DFL, 0);
        for (;;)
            pause();
    }
    into_group(child);
    SHOW(tcsetpgrp(0, child));
    printf("press interrupt\n");
    told(child, "interrupt");
    SHOW(tcsetpgrp(0, getpid()));

    child = MUST(fork());
    if (child == 0)
        for (;;)
            pause();
    into_group(child);
    SHOW(tcsetpgrp(0, child));
    printf("press suspend\n");
    told(child, "suspend");
    MUST(tcsetpgrp(0, getpid()));
    MUST(kill(child, SIGKILL));
    told(child, "kill");

    // In the background, reading stops it, and writing when it shall.
    child = MUST(fork());
    if (child == 0) {
        guest_handle(SIGTTOU, SIG_DFL, 0);
        MUST(setpgid(0, 0));
        ssize_t got = read(0, line, sizeof line);
        _exit(got == 5 && tcgetpgrp(0) == getpid() ? 0 : 1);
    }
    told(child, "read");
    MUST(tcsetpgrp(0, child));
    MUST(kill(-child, SIGCONT));
    printf("type\n");
    told(child, "read in the foreground");
    MUST(tcsetpgrp(0, getpid()));

    child = MUST(fork());
    if (child == 0) {
        guest_handle(SIGTTOU, SIG_DFL, 0);
        MUST(setpgid(0, 0));
        MUST(write(1, "background\n", 11));
        set_modes(0, TOSTOP, 0, -1, 0);
        _exit(7);
    }
    told(child, "change of modes");
    set_modes(0, TOSTOP, 0, -1, 0);
    MUST(kill(child, SIGKILL));
    told(child, "kill");
    child = MUST(fork());
    if (child == 0) {
        guest_handle(SIGTTOU, SIG_DFL, 0);
        MUST(setpgid(0, 0));
        write(1, "not shown\n", 10);
        _exit(7);
    }
    told(child, "write");
    MUST(kill(child, SIGKILL));
    told(child, "kill");

    // Who ignores the signal cannot read.
    child = MUST(fork());
    if (child == 0) {
        guest_handle(SIGTTIN, SIG_IGN, 0);
        MUST(setpgid(0, 0));
        _exit(read(0, line, 1) < 0 && errno == EIO ? 5 : 6);
    }
    told(child, "read without the signal");
    SHOW(tcsetpgrp(0, 1 << 22));
    SHOW(tcsetpgrp(0, -2));
    // A session of its own has no terminal.
    child = MUST(fork());
    if (child == 0) {
        MUST(setsid());
        pid_t group;
        bool none = open("/dev/tty", O_RDWR) < 0 && errno == ENXIO;
        bool not_its = ioctl(0, TIOCGPGRP, &group) < 0 && errno == ENOTTY;
        bool taken = ioctl(0, TIOCSCTTY, 0) < 0 && errno == EPERM;
        _exit(none && not_its && taken ? 8 : 9);
    }
    told(child, "session");
    exit(guest_status());
}

// Copies what is shown until `text` comes.
static void show_until(int master, const char *text)
{
    static char shown[4096];
    static size_t length;
    while (!strstr(shown, text)) {
        wait_for(master, POLLIN);
        length += MUST(read(master, shown + length, sizeof shown - 1 - length));
        shown[length] = 0;
    }
    char *after = strstr(shown, text) + strlen(text);
    printf("%.*s", (int)(after - shown), shown);
    memmove(shown, after, strlen(after) + 1);
    length = strlen(shown);
}

int main(void)
{
    int master, status;
    struct winsize size = {10, 20, 0, 0}, larger = {30, 40, 0, 0};
    pid_t group = -1, child = forkpty(&master, NULL, NULL, &size);
    MUST(child);
    if (child == 0)
        lead();
    show_until(master, "ready\r\n");
    MUST(ioctl(master, TIOCGPGRP, &group));
    CHECK(group == child);
    MUST(ioctl(master, TIOCGSID, &group));
    CHECK(group == child);
    MUST(ioctl(master, TIOCSWINSZ, &larger));
    show_until(master, "press interrupt\r\n");
    type(master, "\003");
    show_until(master, "press suspend\r\n");
    type(master, "\032");
    show_until(master, "type\r\n");
    type(master, "four\n");
    show_until(master, "session: exited with 8\r\n");
    MUST(waitpid(child, &status, 0));
    SHOW(WEXITSTATUS(status));
    return guest_status();
}
