// O_TMPFILE: a file without a name, given one afterwards through /proc/self/fd.
#include "../guest.h"

int main(void)
{
    char path[32], name[64], link[4096] = "";
    struct stat status;
    int fd = MUST(open(".", O_TMPFILE | O_RDWR, 0644));
    SHOW(write(fd, "content", 7));
    MUST(fstat(fd, &status));
    printf("links=%ld size=%ld\n", (long)status.st_nlink, (long)status.st_size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(name, sizeof name, "/#%lu (deleted)", (unsigned long)status.st_ino);
    MUST(readlink(path, link, sizeof link - 1));
    printf("named=%d\n", strlen(link) > strlen(name) && !strcmp(link + strlen(link) - strlen(name), name));
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    MUST(stat("named", &status));
    printf("links=%ld size=%ld\n", (long)status.st_nlink, (long)status.st_size);
    SHOW(open(".", O_TMPFILE | O_RDONLY, 0644));
    SHOW(open("missing", O_TMPFILE | O_RDWR, 0644));
    return guest_status();
}
