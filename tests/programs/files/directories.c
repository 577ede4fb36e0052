// mkdir, getcwd, chdir, fchdir: where relative names lead.
#include "../guest.h"

int main(void)
{
    char start[4096], here[4096], small[2];
    MUST(syscall(SYS_getcwd, start, sizeof start));
    int home = MUST(open(".", O_RDONLY | O_DIRECTORY));
    umask(027);
    struct stat status;
    SHOW(mkdir("one", 0777));
    MUST(stat("one", &status));
    printf("mode=%o\n", status.st_mode);
    SHOW(mkdir("one", 0777));
    SHOW(mkdir("missing/two", 0777));
    SHOW(mkdirat(home, "one/two", 0755));
    SHOW(mkdir("one/three/", 0755));

    SHOW(chdir("one/two"));
    long length = MUST(syscall(SYS_getcwd, here, sizeof here));
    // The call counts the final NUL.
    CHECK(length == (long)strlen(here) + 1);
    CHECK(strncmp(here, start, strlen(start)) == 0);
    puts(here + strlen(start));
    SHOW(access("../three", F_OK));
    SHOW(syscall(SYS_getcwd, small, sizeof small));
    SHOW(chdir("missing"));
    SHOW(rmdir("../two"));
    SHOW(syscall(SYS_getcwd, here, sizeof here));
    SHOW(open("x", O_CREAT | O_WRONLY, 0644));
    SHOW(fchdir(home));
    MUST(syscall(SYS_getcwd, here, sizeof here));
    CHECK(strcmp(here, start) == 0);

    MUST(close(MUST(open("file", O_CREAT | O_WRONLY, 0644))));
    SHOW(chdir("file"));
    SHOW(fchdir(MUST(open("file", O_RDONLY))));
    SHOW(fchdir(99));
    MUST(symlink("one", "link"));
    SHOW(chdir("link"));
    MUST(syscall(SYS_getcwd, here, sizeof here));
    puts(here + strlen(start));
    SHOW(chdir(""));

    // Where something is mounted there is a name already.
    SHOW(mkdir("/", 0700));
    SHOW(mkdir("/proc", 0700));
    SHOW(mkdir("/dev/shm/", 0700));
    SHOW(symlink("link", "/proc"));
    return guest_status();
}
