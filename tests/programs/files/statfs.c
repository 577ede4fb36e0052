// statfs, fstatfs: the two agree, the sizes make sense, the errors are Linux's.
#include "../guest.h"
#include <sys/statfs.h>

int main(void)
{
    struct statfs by_path, by_fd;
    MUST(statfs(".", &by_path));
    MUST(fstatfs(MUST(open(".", O_RDONLY)), &by_fd));
    CHECK(by_path.f_type == by_fd.f_type);
    CHECK(by_path.f_bsize == by_fd.f_bsize && by_path.f_bsize >= 512);
    CHECK(by_path.f_blocks == by_fd.f_blocks && by_path.f_bavail <= by_path.f_blocks);
    CHECK(by_path.f_namelen == 255);
    SHOW(statfs("missing", &by_path));
    SHOW(fstatfs(99, &by_path));
    SHOW(statfs(".", guest_bad_pointer()));
    return guest_status();
}
