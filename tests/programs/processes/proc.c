// /proc of other processes: a child that sleeps, that is stopped, that has ended, that is gone.
#include "../guest.h"
#include <dirent.h>
#include <sys/wait.h>

static char text[4096];

static char *file(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    memset(text, 0, sizeof text);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        snprintf(text, sizeof text, "%s", guest_error_name(errno));
    if (fd >= 0)
        close(fd);
    return text;
}

static void show_state(const char *when, pid_t child)
{
    int pid = 0, parent = 0;
    char name[32] = {0}, state = 0;
    int fields = sscanf(file(child, "stat"), "%d (%31[^)]) %c %d", &pid, name, &state, &parent);
    if (fields == 4)
        printf("%s: %s %c\n", when, name, state);
    else
        printf("%s: %s\n", when, text);
    CHECK(fields != 4 || (pid == child && parent == getpid()));
}

static bool listed(pid_t pid)
{
    DIR *directory = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; (entry = readdir(directory));)
        found |= atoi(entry->d_name) == pid;
    closedir(directory);
    return found;
}

int main(void)
{
    int ends[2], status;
    char link[64], target[256] = {0};
    MUST(pipe(ends));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(chdir("/"));
        MUST(dup2(ends[1], 20));
        MUST(write(ends[1], "x", 1));
        for (;;)
            pause();
    }
    MUST(read(ends[0], link, 1));
    while (strncmp(strstr(file(child, "status"), "State:"), "State:\tS", 8))
        sched_yield();
    show_state("asleep", child);
    CHECK(listed(child) && listed(getpid()));
    printf("name %s", file(child, "comm"));
    printf("cmdline %s\n", strrchr(file(child, "cmdline"), '/'));
    snprintf(link, sizeof link, "/proc/%d/cwd", child);
    SHOW(readlink(link, target, sizeof target - 1));
    puts(target);
    snprintf(link, sizeof link, "/proc/%d/fd/20", child);
    CHECK(readlink(link, target, sizeof target - 1) > 0 && strncmp(target, "pipe:", 5) == 0);
    snprintf(link, sizeof link, "/proc/%d/fd/21", child);
    SHOW(readlink(link, target, sizeof target - 1));
    CHECK(strstr(file(child, "maps"), "[stack]") != NULL);
    MUST(kill(child, SIGSTOP));
    MUST(waitpid(child, &status, WUNTRACED));
    show_state("stopped", child);
    MUST(kill(child, SIGKILL));
    siginfo_t info;
    MUST(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    show_state("ended", child);
    CHECK(listed(child));
    CHECK(strstr(file(child, "status"), "State:\tZ (zombie)") != NULL);
    printf("cmdline '%s'\n", file(child, "cmdline"));
    MUST(waitpid(child, &status, 0));
    show_state("gone", child);
    CHECK(!listed(child));
    return guest_status();
}
