// execve through O_PATH descriptors: the file that they name is run, whatever its name leads to by then.
#include "../guest.h"
#include <sys/wait.h>

extern char **environ;

static void copy(const char *from, const char *to, mode_t mode)
{
    char bytes[65536];
    ssize_t count;
    int source = MUST(open(from, O_RDONLY)), target = MUST(open(to, O_WRONLY | O_CREAT, 0700));
    while ((count = MUST(read(source, bytes, sizeof bytes))) > 0)
        MUST(write(target, bytes, count));
    MUST(fchmod(target, mode));
    MUST(close(source));
    MUST(close(target));
}

// Runs what descriptor 7 names with an argument that has it say so.
static void run(const char *what, int fd, bool whole_path)
{
    char *arguments[] = {"x", "ran", NULL};
    int status;
    MUST(dup2(fd, 7));
    fflush(stdout);
    pid_t child = MUST(fork());
    if (child == 0) {
        if (whole_path)
            execve("/proc/self/fd/7", arguments, environ);
        else
            syscall(SYS_execveat, 7, "", arguments, environ, AT_EMPTY_PATH);
        printf("%s: %s\n", what, strerrorname_np(errno));
        _exit(0);
    }
    MUST(waitpid(child, &status, 0));
    printf("%s: status %x\n", what, status);
}

int main(int count, char **arguments)
{
    if (count > 1) {
        puts(arguments[1]);
        return 0;
    }
    copy("/proc/self/exe", "program", 0700);
    copy("/proc/self/exe", "other", 0600);
    MUST(symlink("program", "link"));
    int program = MUST(open("program", O_PATH));
    for (int whole = 0; whole < 2; whole++) {
        run("a program", program, whole);
        run("not executable", MUST(open("other", O_PATH)), whole);
        run("a directory", MUST(open(".", O_PATH)), whole);
        run("a link", MUST(open("link", O_PATH | O_NOFOLLOW)), whole);
        run("what a link leads to", MUST(open("link", O_PATH)), whole);
        run("a made-up file", MUST(open("/proc/self/status", O_PATH)), whole);
    }
    MUST(rename("program", "moved"));
    MUST(rename("other", "program"));
    run("another name", program, true);
    MUST(unlink("moved"));
    run("no name", program, true);
    // The path of this one leads to itself.
    MUST(dup2(program, 7));
    int itself = MUST(open("/proc/self/fd/7", O_PATH | O_NOFOLLOW));
    run("itself", itself, true);
    run("itself", itself, false);
    return guest_status();
}
