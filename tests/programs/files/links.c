// link, symlink, readlink: counts, truncation, loops and errors.
#include "../guest.h"

static long links(const char *path)
{
    struct stat status;
    MUST(stat(path, &status));
    return status.st_nlink;
}

int main(void)
{
    char target[32];
    MUST(close(MUST(open("file", O_CREAT | O_WRONLY, 0644))));
    SHOW(link("file", "hard"));
    SHOW(links("file"));
    SHOW(link("file", "hard"));
    SHOW(link("missing", "other"));
    SHOW(link(".", "other"));
    SHOW(unlink("file"));
    SHOW(links("hard"));

    SHOW(symlink("hard", "soft"));
    SHOW(symlink("x", "soft"));
    SHOW(symlink("", "empty"));
    SHOW(readlink("soft", target, sizeof target));
    printf("%.4s\n", target);
    memset(target, '#', sizeof target);
    SHOW(readlink("soft", target, 2));
    printf("%.3s\n", target);
    SHOW(readlink("soft", target, 0));
    SHOW(readlink("hard", target, sizeof target));
    SHOW(readlink("missing", target, sizeof target));
    int soft = MUST(open("soft", O_PATH | O_NOFOLLOW));
    SHOW(readlinkat(soft, "", target, sizeof target));

    // linkat follows a symbolic link only when told.
    SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    SHOW(links("hard"));
    SHOW(linkat(AT_FDCWD, "soft", AT_FDCWD, "kept", 0));
    SHOW(readlink("kept", target, sizeof target));
    SHOW(linkat(AT_FDCWD, "hard", AT_FDCWD, "x", 1));

    MUST(symlink("loop-b", "loop-a"));
    MUST(symlink("loop-a", "loop-b"));
    SHOW(open("loop-a", O_RDONLY));
    SHOW(mkdir("soft/x", 0755));
    return guest_status();
}
