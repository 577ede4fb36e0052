// access, faccessat, faccessat2: existence, mode bits that root does not bypass, flags.
#include "../guest.h"

int main(void)
{
    MUST(close(MUST(open("file", O_CREAT | O_WRONLY, 0644))));
    MUST(close(MUST(open("script", O_CREAT | O_WRONLY, 0755))));
    MUST(symlink("missing", "dangling"));
    SHOW(access("file", F_OK));
    SHOW(access("file", R_OK | W_OK));
    // Executing needs an x bit somewhere, even for root.
    SHOW(access("file", X_OK));
    SHOW(access("script", R_OK | X_OK));
    SHOW(access(".", X_OK));
    SHOW(access("missing", F_OK));
    SHOW(access("file/x", F_OK));
    SHOW(access("file", 8));
    SHOW(access("dangling", F_OK));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, AT_EACCESS));
    SHOW(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, 1));
    int fd = MUST(open("file", O_RDONLY));
    SHOW(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
    SHOW(syscall(SYS_faccessat, fd, "x", R_OK));
    SHOW(syscall(SYS_faccessat, 99, "x", R_OK));
    SHOW(access(guest_bad_pointer(), F_OK));
    return guest_status();
}
