// utimensat, futimens: setting, keeping and reading times, to the nanosecond.
#include "../guest.h"

static void print(const char *path)
{
    struct stat status;
    MUST(lstat(path, &status));
    printf("%s: %ld.%09ld %ld.%09ld\n", path, status.st_atim.tv_sec, status.st_atim.tv_nsec,
           status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(symlink("file", "link"));
    struct timespec both[2] = {{1000, 123456789}, {2000, 987654321}};
    SHOW(utimensat(AT_FDCWD, "file", both, 0));
    print("file");
    struct timespec second_only[2] = {{0, UTIME_OMIT}, {3000, 0}};
    SHOW(futimens(fd, second_only));
    print("file");
    SHOW(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW));
    print("link");
    print("file");

    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    SHOW(futimens(fd, now));
    struct stat status;
    MUST(fstat(fd, &status));
    CHECK(llabs(status.st_atim.tv_sec - time(NULL)) < 10);
    SHOW(status.st_mtim.tv_sec);
    SHOW(utimensat(AT_FDCWD, "file", NULL, 0));

    struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    SHOW(utimensat(AT_FDCWD, "file", bad, 0));
    SHOW(utimensat(AT_FDCWD, "missing", both, 0));
    SHOW(utimensat(AT_FDCWD, "file", both, 1));
    SHOW(futimens(99, both));
    struct timespec neither[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    SHOW(utimensat(AT_FDCWD, "missing", neither, 0));
    return guest_status();
}
