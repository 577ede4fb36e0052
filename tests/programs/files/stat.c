// stat, lstat, fstat, fstatat: size, type, mode, links; and that they agree with each other.
#include "../guest.h"

static void print(const char *name, const struct stat *status)
{
    printf("%s: mode=%o links=%ld size=%ld\n", name, status->st_mode, (long)status->st_nlink,
           (long)status->st_size);
}

int main(void)
{
    struct stat by_path, by_fd, by_link;
    umask(022);
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0640));
    MUST(write(fd, "12345", 5));
    MUST(symlink("file", "link"));
    MUST(stat("file", &by_path));
    print("file", &by_path);
    MUST(fstat(fd, &by_fd));
    print("fd", &by_fd);
    MUST(lstat("link", &by_link));
    print("link", &by_link);
    CHECK(by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev);
    CHECK(by_path.st_ino != by_link.st_ino);
    CHECK(by_path.st_uid == geteuid());
    CHECK(by_path.st_blksize >= 512);
    MUST(stat("link", &by_link));
    CHECK(by_link.st_ino == by_path.st_ino);
    MUST(fstatat(fd, "", &by_link, AT_EMPTY_PATH));
    CHECK(by_link.st_ino == by_path.st_ino);
    MUST(fstatat(AT_FDCWD, "link", &by_link, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(by_link.st_mode));

    MUST(stat(".", &by_path));
    CHECK(S_ISDIR(by_path.st_mode));
    MUST(stat("/dev/null", &by_path));
    CHECK(S_ISCHR(by_path.st_mode));
    CHECK(by_path.st_rdev == 0x103);
    int ends[2];
    MUST(pipe(ends));
    MUST(fstat(ends[0], &by_fd));
    CHECK(S_ISFIFO(by_fd.st_mode) && by_fd.st_size == 0);

    SHOW(stat("missing", &by_path));
    SHOW(stat("", &by_path));
    SHOW(stat("file/x", &by_path));
    SHOW(fstat(99, &by_path));
    SHOW(fstatat(fd, "", &by_path, 0));
    SHOW(fstatat(AT_FDCWD, "file", &by_path, 0x8000));
    SHOW(stat("file", guest_bad_pointer()));
    SHOW(stat(guest_bad_pointer(), &by_path));
    return guest_status();
}
