// Actions of several processes. The snapshot has a child that keeps a text of its own and answers through pipes.
#include "server.h"
#include <spawn.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/un.h>
#include <sys/wait.h>

extern char **environ;

static int to_child[2], from_child[2];
static char *shared;
static pid_t child;
// A descriptor of it.
static int handle;
// Two sockets that the child listens on: for connections and for datagrams.
static int local, letters;
// Tells who opens a directory, in each fork for itself.
static int watched;
// Makes their names this machine's own.
static unsigned long token;
static char text[256] = "none";

static void keep_text(void) {
    char line[256];
    for (;;) {
        ssize_t got = read(to_child[0], line, sizeof line - 1);
        if (got <= 0) _exit(0);
        line[got] = 0;
        if (!strcmp(line, "map")) MUST(mmap(0, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        else if (!strcmp(line, "exit")) _exit(0);
        else if (!strcmp(line, "accept")) {
            int accepted = MUST(accept(local, 0, 0));
            text[MUST(read(accepted, text, sizeof text - 1))] = 0;
        } else if (!strcmp(line, "letter")) text[MUST(recv(letters, text, sizeof text - 1, 0))] = 0;
        else if (!strcmp(line, "thread")) {
            // A descriptor, an open pipe and a signal handler of its own.
            int ends[2];
            MUST(pipe(ends));
            signal(SIGUSR1, SIG_IGN);
        } else if (strcmp(line, "look")) {
            strcpy(text, line);
            strcpy(shared + PAGE, line);
        }
        MUST(write(from_child[1], text, strlen(text)));
    }
}

static struct sockaddr_un name_of(const char *text) {
    struct sockaddr_un name = {AF_UNIX, ""};
    sprintf(name.sun_path + 1, "%s %lx", text, token);
    return name;
}

static int bound(int type, const char *text) {
    struct sockaddr_un name = name_of(text);
    int fd = MUST(socket(AF_UNIX, type, 0));
    MUST(bind(fd, (struct sockaddr *)&name, sizeof name));
    return fd;
}

static int connected(int type, const char *text) {
    struct sockaddr_un name = name_of(text);
    int fd = MUST(socket(AF_UNIX, type, 0));
    MUST(connect(fd, (struct sockaddr *)&name, sizeof name));
    return fd;
}

static void set_up(void) {
    MUST(getrandom(&token, sizeof token, 0));
    local = bound(SOCK_STREAM, "local");
    letters = bound(SOCK_DGRAM, "letters");
    MUST(listen(local, 4));
    watched = MUST(inotify_init1(IN_NONBLOCK));
    MUST(inotify_add_watch(watched, "/usr/share", IN_OPEN | IN_CLOSE));
    MUST(pipe(to_child));
    MUST(pipe(from_child));
    shared = (char *)MUST(mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    strcpy(shared, "before");
    child = MUST(fork());
    if (child == 0) {
        close(listener);
        close(to_child[1]);
        close(from_child[0]);
        keep_text();
    }
    close(to_child[0]);
    close(from_child[1]);
    handle = MUST(syscall(SYS_pidfd_open, child, 0));
}

static void ask_child(const char *line) {
    char said[256] = {0};
    MUST(write(to_child[1], line, strlen(line)));
    MUST(read(from_child[0], said, sizeof said - 1));
    sprintf(answer + strlen(answer), "%s ", said);
}

static void signal_child(const char *argument) {
    siginfo_t info;
    MUST(syscall(SYS_pidfd_send_signal, handle, SIGSTOP, 0, 0));
    MUST(waitid(P_PIDFD, handle, &info, WSTOPPED));
    sprintf(answer, "%d %d ", info.si_pid == child, info.si_status == SIGSTOP);
}

static void look(const char *argument) {
    ask_child("look");
    sprintf(answer + strlen(answer), "shared %s %s %s children %d\n", shared, shared + PAGE, shared + 2 * PAGE,
            (int)waitpid(-1, 0, WNOHANG));
}

static void fork_and_wait(const char *argument) {
    int status;
    pid_t forked = MUST(fork());
    if (forked == 0) {
        strcpy(text, argument);
        strcpy(shared + 2 * PAGE, argument);
        _exit(7);
    }
    MUST(waitpid(forked, &status, 0));
    if (WEXITSTATUS(status) != 7) MUST(-1);
}

static void fork_and_leave(const char *argument) {
    if (MUST(fork()) == 0) {
        close(connection);
        strcpy(text, argument);
        for (;;) pause();
    }
}

static void leave_zombie(const char *argument) {
    siginfo_t info;
    pid_t forked = MUST(fork());
    if (forked == 0) _exit(3);
    MUST(waitid(P_PID, forked, &info, WEXITED | WNOWAIT));
}

static void spawn(const char *argument) {
    int ends[2], status;
    pid_t spawned;
    char *arguments[] = {"sh", "-c", "echo $0 | tr a-z A-Z; exit 3", (char *)argument, 0};
    char said[256] = {0};
    posix_spawn_file_actions_t actions;
    MUST(pipe2(ends, O_CLOEXEC));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    if (posix_spawn(&spawned, "/bin/sh", &actions, 0, arguments, environ)) MUST(-1);
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0) length += got;
    close(ends[0]);
    MUST(waitpid(spawned, &status, 0));
    sprintf(answer, "%d %s", WEXITSTATUS(status), said);
}

static void write_in_child(const char *argument) { ask_child(argument); }
static void map_in_child(const char *argument) { ask_child("map"); }
static void change_child(const char *argument) { ask_child("thread"); }

static void end_child(const char *argument) {
    MUST(write(to_child[1], "exit", 4));
    MUST(waitpid(child, 0, 0));
}

static void stop_child(const char *argument) {
    MUST(kill(child, SIGSTOP));
    MUST(waitpid(child, 0, WUNTRACED));
}

static void move_child(const char *argument) { MUST(setpgid(child, child)); }

static void execute(const char *argument) {
    char *arguments[] = {"sleep", "1000", 0};
    execve("/bin/sleep", arguments, environ);
}

static void leave(const char *argument) { exit(3); }

static void describe(const char *argument) { MUST(syscall(SYS_pidfd_open, child, 0)); }

static void connect_to_child(const char *argument) {
    int fd = connected(SOCK_STREAM, "local");
    MUST(write(fd, argument, strlen(argument)));
    ask_child("accept");
    // Another one that nobody accepts.
    MUST(write(connected(SOCK_STREAM, "local"), argument, strlen(argument)));
}

static void watch(const char *argument) {
    struct inotify_event event = {0};
    MUST(inotify_add_watch(watched, "/usr/lib", IN_OPEN));
    errno = 0;
    if (read(watched, &event, sizeof event) != -1 || errno != EAGAIN) MUST(-1);
    MUST(close(MUST(open("/usr/share", O_RDONLY))));
    MUST(read(watched, &event, sizeof event));
    sprintf(answer, "%d %x ", event.wd, event.mask);
}

static void write_to_child(const char *argument) {
    int fd = connected(SOCK_DGRAM, "letters");
    MUST(write(fd, argument, strlen(argument)));
    ask_child("letter");
    MUST(write(fd, argument, strlen(argument)));
}

static const struct action actions[] = {
    {"look", look}, {"signal-child", signal_child}, {"fork-and-wait", fork_and_wait}, {"fork-and-leave", fork_and_leave},
    {"leave-zombie", leave_zombie}, {"spawn", spawn}, {"write-in-child", write_in_child},
    {"map-in-child", map_in_child}, {"change-child", change_child}, {"end-child", end_child},
    {"stop-child", stop_child}, {"move-child", move_child}, {"execute", execute}, {"exit", leave}, {"describe", describe},
    {"connect", connect_to_child}, {"write-to", write_to_child}, {"watch", watch}, {0, 0},
};
