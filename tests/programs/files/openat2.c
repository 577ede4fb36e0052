// openat2: RESOLVE_* limits and the checks on struct open_how.
#include "../guest.h"
#include <linux/openat2.h>

static long open_how(int directory, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .resolve = resolve};
    return syscall(SYS_openat2, directory, path, &how, sizeof how);
}

int main(void)
{
    MUST(mkdir("top", 0755));
    MUST(mkdir("top/inner", 0755));
    MUST(close(MUST(open("top/file", O_CREAT | O_WRONLY, 0644))));
    MUST(close(MUST(open("outside", O_CREAT | O_WRONLY, 0644))));
    MUST(symlink("file", "top/near"));
    MUST(symlink("../outside", "top/far"));
    int top = MUST(open("top", O_RDONLY | O_DIRECTORY));

    CHECK(open_how(top, "file", O_RDONLY, 0) >= 0);
    CHECK(open_how(top, "../outside", O_RDONLY, 0) >= 0);
    SHOW(open_how(top, "../outside", O_RDONLY, RESOLVE_BENEATH));
    CHECK(open_how(top, "inner/../file", O_RDONLY, RESOLVE_BENEATH) >= 0);
    SHOW(open_how(top, "/etc", O_RDONLY, RESOLVE_BENEATH));
    SHOW(open_how(top, "far", O_RDONLY, RESOLVE_BENEATH));
    CHECK(open_how(top, "near", O_RDONLY, RESOLVE_BENEATH) >= 0);
    SHOW(open_how(top, "near", O_RDONLY, RESOLVE_NO_SYMLINKS));
    SHOW(open_how(top, "../outside", O_RDONLY, RESOLVE_IN_ROOT));
    CHECK(open_how(top, "/file", O_RDONLY, RESOLVE_IN_ROOT) >= 0);

    SHOW(open_how(top, "file", O_RDONLY, 1 << 20));
    SHOW(open_how(top, "file", UINT64_C(1) << 40, 0));
    struct open_how mode = {.flags = O_RDONLY, .mode = 0644};
    SHOW(syscall(SYS_openat2, top, "file", &mode, sizeof mode));
    struct open_how plain = {.flags = O_RDONLY};
    SHOW(syscall(SYS_openat2, top, "file", &plain, sizeof plain - 1));
    // A larger structure is a newer one: refused only when its unknown part is not zero.
    struct { struct open_how how; uint64_t more; } larger = {.how = plain};
    CHECK(syscall(SYS_openat2, top, "file", &larger, sizeof larger) >= 0);
    larger.more = 1;
    SHOW(syscall(SYS_openat2, top, "file", &larger, sizeof larger));
    return guest_status();
}
