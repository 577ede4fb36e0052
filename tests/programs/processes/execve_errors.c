// execve: why it fails, and that the old program then goes on.
#include "../guest.h"
#include <sys/wait.h>

extern char **environ;

static char *arguments[] = {"x", NULL};

static void make(const char *name, const char *text, mode_t mode)
{
    int fd = MUST(open(name, O_WRONLY | O_CREAT, 0700));
    MUST(write(fd, text, strlen(text)));
    MUST(fchmod(fd, mode));
    MUST(close(fd));
}

int main(void)
{
    make("not_a_program", "what is this", 0700);
    make("not_executable", "#!/bin/true\n", 0600);
    make("no_interpreter", "#!/nonexistent/interpreter\n", 0700);
    make("empty", "", 0700);
    make("script", "#!/bin/echo from-script\n", 0700);
    MUST(mkdir("directory", 0700));
    MUST(symlink("loop", "loop"));
    SHOW(execve("missing", arguments, environ));
    SHOW(execve("", arguments, environ));
    SHOW(execve("directory", arguments, environ));
    SHOW(execve("not_a_program", arguments, environ));
    SHOW(execve("not_executable", arguments, environ));
    SHOW(execve("no_interpreter", arguments, environ));
    SHOW(execve("empty", arguments, environ));
    SHOW(execve("loop", arguments, environ));
    SHOW(execve("script/below", arguments, environ));
    SHOW(execve(guest_bad_pointer(), arguments, environ));
    SHOW(execve("/bin/true", guest_bad_pointer(), environ));
    // One string that is too long, and too many of them.
    char *large = malloc(140000);
    memset(large, 'a', 140000);
    large[139999] = 0;
    char *one[] = {"x", large, NULL};
    SHOW(execve("/bin/true", one, environ));
    large[100000] = 0;
    char *many[128];
    for (int i = 0; i < 127; i++)
        many[i] = large;
    many[127] = NULL;
    SHOW(execve("/bin/true", many, environ));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "missing", arguments, environ, 0));
    SHOW(syscall(SYS_execveat, 99, "missing", arguments, environ, 0));
    SHOW(syscall(SYS_execveat, AT_FDCWD, "script", arguments, environ, 1));
    int status;
    fflush(stdout);
    pid_t child = MUST(fork());
    if (child == 0) {
        char *more[] = {"name", "second", NULL};
        execve("./script", more, environ);
        _exit(9);
    }
    MUST(waitpid(child, &status, 0));
    printf("script: %d\n", status);
    child = MUST(fork());
    if (child == 0) {
        int fd = MUST(open("/bin/echo", O_RDONLY));
        char *more[] = {"echo", "by descriptor", NULL};
        syscall(SYS_execveat, fd, "", more, environ, AT_EMPTY_PATH);
        _exit(9);
    }
    MUST(waitpid(child, &status, 0));
    printf("descriptor: %d\n", status);
    return guest_status();
}
