// rseq, set_robust_list, set_tid_address, membarrier: answered as libc and runtimes expect.
#include "../guest.h"
#include <linux/futex.h>
#include <linux/membarrier.h>

int main(void)
{
    struct robust_list_head *list = NULL, mine = {.list.next = &mine.list};
    size_t size = 0;
    SHOW(syscall(SYS_get_robust_list, 0, &list, &size));
    CHECK(list != NULL && size == sizeof *list);
    SHOW(syscall(SYS_set_robust_list, &mine, 1));
    SHOW(syscall(SYS_set_robust_list, &mine, sizeof mine));
    struct robust_list_head *now = NULL;
    MUST(syscall(SYS_get_robust_list, 0, &now, &size));
    CHECK(now == &mine);
    MUST(syscall(SYS_set_robust_list, list, sizeof *list));

    int clear = 0;
    CHECK(syscall(SYS_set_tid_address, &clear) == gettid());

    // A wrong length is refused, or the call is unknown here: a program must bear both.
    static _Alignas(32) char area[32];
    long result = syscall(SYS_rseq, area, 7, 0, 0);
    CHECK(result == -1 && (errno == EINVAL || errno == ENOSYS || errno == EBUSY || errno == EPERM));

    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    CHECK(commands >= 0 || errno == ENOSYS);
    if (commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
        MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
        MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    }
    SHOW(syscall(SYS_membarrier, 0x40000000, 0, 0));
    return guest_status();
}
