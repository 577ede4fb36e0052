// unlink, unlinkat, rmdir: an open file outlives its name; directories need their own call.
#include "../guest.h"

int main(void)
{
    char content[8] = "";
    struct stat status;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "kept", 4));
    SHOW(unlink("file"));
    SHOW(access("file", F_OK));
    MUST(fstat(fd, &status));
    SHOW(status.st_nlink);
    SHOW(pread(fd, content, sizeof content, 0));
    puts(content);
    SHOW(unlink("file"));

    MUST(mkdir("d", 0755));
    MUST(mkdir("d/e", 0755));
    SHOW(unlink("d"));
    SHOW(rmdir("d"));
    SHOW(unlinkat(AT_FDCWD, "d/e", 0));
    SHOW(unlinkat(AT_FDCWD, "d/e", AT_REMOVEDIR));
    SHOW(unlinkat(AT_FDCWD, "d", 1));
    SHOW(rmdir("d/."));
    SHOW(rmdir("d/.."));
    SHOW(rmdir("d"));
    SHOW(rmdir("d"));
    MUST(symlink("nowhere", "link"));
    SHOW(rmdir("link"));
    SHOW(unlink("link"));
    return guest_status();
}
