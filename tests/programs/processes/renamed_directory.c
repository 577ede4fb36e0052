// The working directory of another process is renamed: that process is in the same directory, by its new name.
#include "../guest.h"
#include <sys/wait.h>

int main(void)
{
    int ends[2];
    char byte, path[4096];
    MUST(pipe(ends));
    MUST(mkdir("before", 0700));
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(chdir("before"));
        MUST(write(ends[1], "x", 1));
        MUST(raise(SIGSTOP));
        CHECK(getcwd(path, sizeof path) != NULL);
        puts(strrchr(path, '/'));
        MUST(close(MUST(open("file", O_WRONLY | O_CREAT, 0600))));
        exit(guest_status());
    }
    MUST(read(ends[0], &byte, 1));
    MUST(waitpid(child, NULL, WUNTRACED));
    MUST(rename("before", "after"));
    MUST(mkdir("before", 0700));
    MUST(kill(child, SIGCONT));
    MUST(wait(NULL));
    SHOW(access("after/file", F_OK));
    SHOW(access("before/file", F_OK));
    return guest_status();
}
