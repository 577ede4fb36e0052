// openat: what each flag refuses, and what a descriptor opened one way refuses later.
#include "../guest.h"

int main(void)
{
    char byte;
    SHOW(openat(AT_FDCWD, "file", O_RDONLY));
    SHOW(openat(AT_FDCWD, "", O_RDONLY));
    int writer = MUST(openat(AT_FDCWD, "file", O_CREAT | O_EXCL | O_WRONLY, 0644));
    SHOW(openat(AT_FDCWD, "file", O_CREAT | O_EXCL | O_WRONLY, 0644));
    SHOW(write(writer, "abc", 3));
    SHOW(read(writer, &byte, 1));

    int reader = MUST(open("file", O_RDONLY));
    SHOW(write(reader, "x", 1));
    SHOW(read(reader, &byte, 1));
    MUST(close(MUST(open("file", O_WRONLY | O_TRUNC))));
    SHOW(read(reader, &byte, 1));

    SHOW(open("file", O_RDONLY | O_DIRECTORY));
    SHOW(open("file/", O_RDONLY));
    SHOW(open("file/inside", O_RDONLY));
    SHOW(open(".", O_WRONLY));
    SHOW(open(".", O_RDONLY | O_CREAT, 0644));
    int directory = MUST(open(".", O_RDONLY | O_DIRECTORY));
    SHOW(read(directory, &byte, 1));

    MUST(symlink("file", "link"));
    SHOW(open("link", O_RDONLY | O_NOFOLLOW));
    int path = MUST(open("link", O_PATH | O_NOFOLLOW));
    SHOW(read(path, &byte, 1));
    struct stat status;
    MUST(fstat(path, &status));
    CHECK(S_ISLNK(status.st_mode));

    MUST(symlink("missing", "dangling"));
    SHOW(open("dangling", O_RDONLY));
    SHOW(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
    MUST(close(MUST(open("dangling", O_RDWR | O_CREAT, 0644))));
    SHOW(access("missing", F_OK));
    SHOW(openat(writer, "file", O_RDONLY));
    SHOW(openat(-5, "file", O_RDONLY));
    return guest_status();
}
