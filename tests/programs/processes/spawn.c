// posix_spawn, popen and system: the C library's ways to run a program.
#include "../guest.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(void)
{
    int status, ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    MUST(pipe2(ends, O_CLOEXEC));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    char *arguments[] = {"echo", "hello", "world", NULL};
    SHOW_CODE(posix_spawn(&child, "/bin/echo", &actions, NULL, arguments, environ));
    close(ends[1]);
    char text[64] = {0};
    long length = 0, got;
    while ((got = read(ends[0], text + length, sizeof text - length)) > 0)
        length += got;
    printf("%ld bytes: %s", length, text);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    SHOW_CODE(posix_spawn(&child, "/nonexistent", NULL, NULL, arguments, environ));
    SHOW(wait(&status));
    SHOW_CODE(posix_spawnp(&child, "true", NULL, NULL, arguments, environ));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    fflush(stdout);
    printf("system: %d\n", system("echo one; exit 3") >> 8);
    FILE *pipe = popen("echo two | tr a-z A-Z", "r");
    CHECK(fgets(text, sizeof text, pipe) != NULL);
    printf("%s", text);
    printf("pclose: %d\n", pclose(pipe));
    pipe = popen("cat", "w");
    fputs("three\n", pipe);
    printf("pclose: %d\n", pclose(pipe));
    return guest_status();
}
