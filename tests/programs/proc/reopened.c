// /proc/self/fd/N opens the file that is open, wherever its path leads by now: also to the descriptor itself.
#include "../guest.h"

static char name[64];

static void link_to_descriptor(int fd, const char *path)
{
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    MUST(symlink(name, path));
}

static int same(int one, int other)
{
    struct stat first, second;
    MUST(fstat(one, &first));
    MUST(fstat(other, &second));
    return first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

int main(void)
{
    char text[8] = "";
    MUST(mkdir("directory", 0700));
    int directory = MUST(open("directory", O_RDONLY | O_DIRECTORY));
    MUST(rmdir("directory"));
    link_to_descriptor(directory, "directory");
    int again = SHOW(open(name, O_RDONLY | O_DIRECTORY));
    CHECK(same(again, directory));
    SHOW(open(name, O_RDWR));
    again = MUST(open(name, O_PATH));
    CHECK(same(again, directory));

    int file = MUST(open("file", O_RDONLY | O_CREAT, 0600));
    MUST(unlink("file"));
    link_to_descriptor(file, "file");
    again = MUST(open(name, O_WRONLY));
    CHECK(same(again, file));
    SHOW(write(again, "new", 3));
    SHOW(pread(file, text, sizeof text, 0));
    SHOW(open(name, O_RDONLY | O_DIRECTORY));
    again = MUST(open(name, O_RDWR | O_TRUNC));
    CHECK(same(again, file));
    SHOW(pread(file, text, sizeof text, 0));

    // Another file has its name.
    MUST(unlink("file"));
    MUST(open("file", O_RDWR | O_CREAT, 0600));
    again = MUST(open(name, O_RDWR | O_CREAT, 0600));
    CHECK(same(again, file));
    return guest_status();
}
