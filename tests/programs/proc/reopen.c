// /proc/PID/fd/N, opened anew: the file that the descriptor has open or names, whatever its name leads to by then.
#include "../guest.h"
#include <sys/wait.h>

// The name of descriptor `fd`, of process `process` where that is not 0.
static const char *by_process(pid_t process, int fd)
{
    static char path[64];
    if (process)
        snprintf(path, sizeof path, "/proc/%d/fd/%d", process, fd);
    else
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static const char *by(int fd)
{
    return by_process(0, fd);
}

static void make(const char *name, const char *text)
{
    int fd = MUST(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644));
    MUST(write(fd, text, strlen(text)));
    MUST(close(fd));
}

static void show(const char *what, int fd)
{
    char text[16] = "";
    if (fd == -1 || pread(fd, text, sizeof text - 1, 0) == -1)
        snprintf(text, sizeof text, "%s", guest_error_name(errno));
    printf("%s: %s\n", what, text);
}

static void show_all(const char *what, int fd)
{
    struct stat status;
    puts(what);
    show(" read", open(by(fd), O_RDONLY));
    show(" read and written", open(by(fd), O_RDWR));
    show(" named", open(by(fd), O_PATH));
    int written = MUST(open(by(fd), O_WRONLY | O_APPEND));
    MUST(write(written, "+", 1));
    show(" appended to", open(by(fd), O_RDONLY));
    SHOW(truncate(by(fd), 2));
    SHOW(access(by(fd), R_OK | W_OK));
    SHOW(chmod(by(fd), 0640));
    MUST(stat(by(fd), &status));
    printf(" mode %o, %ld bytes, %ld links\n", status.st_mode, (long)status.st_size, (long)status.st_nlink);
    SHOW(open(by(fd), O_RDONLY | O_DIRECTORY));
    SHOW(open(by(fd), O_RDONLY | O_NOFOLLOW));
    SHOW(open(by(fd), O_RDONLY | O_CREAT | O_EXCL, 0600));
    char slash[64];
    snprintf(slash, sizeof slash, "%s/", by(fd));
    SHOW(open(slash, O_RDONLY));
    MUST(close(MUST(open(by(fd), O_WRONLY | O_TRUNC))));
    MUST(stat(by(fd), &status));
    printf(" %ld bytes\n", (long)status.st_size);
}

int main(void)
{
    make("named", "named");
    show_all("named only", MUST(open("named", O_PATH)));
    make("named", "named");
    show_all("for reading", MUST(open("named", O_RDONLY)));

    make("first", "first");
    int first = MUST(open("first", O_RDONLY)), handle = MUST(open("first", O_PATH));
    make("second", "second");
    MUST(rename("second", "first"));
    show("replaced, named only", open(by(handle), O_RDWR));
    show_all("replaced", first);
    show("the other", MUST(open("first", O_RDONLY)));

    make("third", "third");
    int third = MUST(open("third", O_RDONLY));
    MUST(unlink("third"));
    show_all("removed", third);

    int memory = MUST(syscall(SYS_memfd_create, "memory", 0));
    MUST(write(memory, "memory", 6));
    int named = MUST(open(by(memory), O_PATH));
    MUST(fchmod(memory, 0600));
    show_all("memory", named);

    make("child", "child");
    int child = MUST(open("child", O_PATH));
    MUST(unlink("child"));
    pid_t parent = getpid();
    fflush(stdout);
    if (MUST(fork()) == 0) {
        MUST(close(child));
        show("another process's", open(by_process(parent, child), O_RDWR));
        exit(0);
    }
    MUST(wait(NULL));
    return guest_status();
}
