// umask, chmod, fchmod, fchmodat: the bits a file ends up with.
#include "../guest.h"

static void print(const char *path)
{
    struct stat status;
    MUST(stat(path, &status));
    printf("%s: %o\n", path, status.st_mode);
}

int main(void)
{
    umask(0);
    printf("previous=%o\n", umask(0077));
    printf("previous=%o\n", umask(01777));
    printf("previous=%o\n", umask(0026));
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0666));
    print("file");
    MUST(mkdir("d", 0777));
    print("d");
    SHOW(chmod("file", 0400));
    print("file");
    SHOW(fchmod(fd, 04711));
    print("file");
    SHOW(fchmodat(AT_FDCWD, "file", 0170644, 0));
    print("file");
    SHOW(chmod("d", 01777));
    print("d");
    // A descriptor keeps the access it was opened with.
    MUST(chmod("file", 0));
    SHOW(write(fd, "x", 1));
    SHOW(chmod("missing", 0644));
    SHOW(fchmod(99, 0644));
    SHOW(fchmod(MUST(open("d", O_PATH)), 0644));
    return guest_status();
}
