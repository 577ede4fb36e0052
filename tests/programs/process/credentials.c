// User and group ids: all the calls, and the auxiliary vector, tell the same.
#include "../guest.h"
#include <grp.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>

int main(void)
{
    uid_t real, effective, saved, group_real, group_effective, group_saved;
    MUST(getresuid(&real, &effective, &saved));
    MUST(getresgid(&group_real, &group_effective, &group_saved));
    CHECK(real == getuid() && effective == geteuid());
    CHECK(group_real == getgid() && group_effective == getegid());
    CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    CHECK(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    CHECK(getauxval(AT_SECURE) == 0);
    CHECK((uid_t)setfsuid(-1) == geteuid());

    int count = MUST(getgroups(0, NULL));
    gid_t *groups = calloc(count + 1, sizeof *groups);
    CHECK(getgroups(count, groups) == count);
    CHECK(getgroups(0, groups) == count);
    SHOW(syscall(SYS_getgroups, -1, groups));
    // Becoming who one is already is always allowed.
    SHOW(setuid(getuid()));
    SHOW(setgid(getgid()));
    SHOW(setresuid(-1, geteuid(), -1));
    SHOW(setreuid(-1, -1));
    return guest_status();
}
