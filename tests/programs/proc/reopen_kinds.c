// Links made by descriptors in /proc/self/fd, and what is opened by them anew: directories, FIFOs, made-up files.
#include "../guest.h"

static const char *by(int fd)
{
    static char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static void links_by_descriptors(void)
{
    struct stat status;
    MUST(close(MUST(open("linked", O_WRONLY | O_CREAT, 0644))));
    SHOW(linkat(AT_FDCWD, by(MUST(open("linked", O_PATH))), AT_FDCWD, "one", AT_SYMLINK_FOLLOW));
    SHOW(linkat(AT_FDCWD, by(MUST(open("linked", O_RDONLY))), AT_FDCWD, "two", AT_SYMLINK_FOLLOW));
    MUST(stat("linked", &status));
    printf("%ld links\n", (long)status.st_nlink);
    int gone = MUST(open("linked", O_RDONLY));
    MUST(unlink("linked") | unlink("one") | unlink("two"));
    SHOW(linkat(AT_FDCWD, by(gone), AT_FDCWD, "three", AT_SYMLINK_FOLLOW));
    SHOW(linkat(AT_FDCWD, by(MUST(open(".", O_PATH))), AT_FDCWD, "three", AT_SYMLINK_FOLLOW));
    SHOW(linkat(AT_FDCWD, by(MUST(syscall(SYS_memfd_create, "memory", 0))), AT_FDCWD, "three", AT_SYMLINK_FOLLOW));
}

static void other_kinds(void)
{
    int ends[2];
    MUST(mkdir("directory", 0700));
    MUST(close(MUST(open("directory/file", O_WRONLY | O_CREAT, 0644))));
    int directory = MUST(open("directory", O_PATH | O_DIRECTORY));
    MUST(rename("directory", "moved"));
    MUST(mkdir("directory", 0700));
    int again = MUST(open(by(directory), O_RDONLY | O_DIRECTORY));
    SHOW(faccessat(again, "file", F_OK, 0));
    SHOW(open(by(directory), O_RDWR));
    SHOW(truncate(by(directory), 0));
    CHECK(open(by(directory), O_TMPFILE | O_RDWR, 0600) != -1);
    MUST(symlink("directory", "link"));
    int link = MUST(open("link", O_PATH | O_NOFOLLOW));
    SHOW(open(by(link), O_RDONLY));
    SHOW(truncate(by(link), 0));
    MUST(mkfifo("fifo", 0600));
    int fifo = MUST(open("fifo", O_PATH));
    MUST(unlink("fifo"));
    int both = MUST(open(by(fifo), O_RDWR | O_NONBLOCK));
    MUST(write(both, "through", 7));
    char text[8] = "";
    SHOW(read(both, text, 7));
    SHOW(truncate(by(fifo), 0));
    int null = MUST(open("/dev/null", O_PATH));
    SHOW(write(open(by(null), O_WRONLY), "x", 1));
    int status = MUST(open("/proc/self/status", O_PATH));
    SHOW(read(open(by(status), O_RDONLY), text, 5));
    printf("%.5s\n", text);
    MUST(pipe(ends));
    SHOW(read(open(by(ends[0]), O_PATH), text, 1));
    SHOW(open(by(99), O_RDONLY));
}

int main(void)
{
    links_by_descriptors();
    other_kinds();
    return guest_status();
}
