// statx: the mask, the fields stat also has, empty paths and refused flags.
#include "../guest.h"

int main(void)
{
    struct statx extended;
    struct stat plain;
    umask(022);
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0600));
    MUST(write(fd, "1234567", 7));
    MUST(fstat(fd, &plain));
    MUST(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &extended));
    CHECK((extended.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    printf("mode=%o links=%u size=%lu\n", extended.stx_mode, extended.stx_nlink,
           (unsigned long)extended.stx_size);
    CHECK(extended.stx_ino == plain.st_ino);
    CHECK(extended.stx_uid == plain.st_uid);
    CHECK(extended.stx_mtime.tv_sec == plain.st_mtim.tv_sec);
    CHECK((long)extended.stx_mtime.tv_nsec == plain.st_mtim.tv_nsec);
    CHECK(extended.stx_blocks == (unsigned long)plain.st_blocks);

    memset(&extended, 0, sizeof extended);
    MUST(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &extended));
    CHECK((extended.stx_mask & STATX_SIZE) && extended.stx_size == 7);
    MUST(symlink("file", "link"));
    MUST(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &extended));
    CHECK(S_ISLNK(extended.stx_mode));

    SHOW(statx(fd, "", 0, STATX_SIZE, &extended));
    SHOW(statx(AT_FDCWD, "missing", 0, STATX_SIZE, &extended));
    SHOW(statx(AT_FDCWD, "file", 0x40000, STATX_SIZE, &extended));
    SHOW(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &extended));
    SHOW(statx(AT_FDCWD, "file", 0, STATX__RESERVED, &extended));
    SHOW(statx(AT_FDCWD, "file", 0, STATX_SIZE, guest_bad_pointer()));
    SHOW(statx(99, "file", 0, STATX_SIZE, &extended));
    return guest_status();
}
