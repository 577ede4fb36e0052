// set_robust_list, set_tid_address: answered as libc and runtimes expect.
#include "../guest.h"
#include <linux/futex.h>

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
    return guest_status();
}
