// clone by hand: a thread without libc, its tids stored, its end announced; refused flags.
#include "../guest.h"
#include <linux/futex.h>
#include <linux/sched.h>

static atomic_int parent_word = -1, child_word = -1, shared;
static int thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                          CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
                          CLONE_CHILD_SETTID;

static int run(void *argument)
{
    // No thread-local storage of its own, so no libc that needs it.
    *(int *)argument = 41;
    atomic_store(&shared, 1);
    return 0;
}

int main(void)
{
    int result = 0;
    char *stack = guest_map(65536, PROT_READ | PROT_WRITE) + 65536;
    int id = MUST(clone(run, stack, thread_flags, &result, &parent_word, NULL, &child_word));
    CHECK(id > 0 && id != getpid());
    // The caller's word is set before the call returns.
    CHECK(parent_word == id);
    int seen;
    while ((seen = atomic_load(&child_word)) != 0)
        syscall(SYS_futex, &child_word, FUTEX_WAIT, seen, NULL, NULL, 0);
    SHOW(result);
    SHOW(shared);

    SHOW(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    SHOW(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0));
    // clone3 may be unknown; then libc uses clone.
    struct clone_args arguments = {.flags = CLONE_THREAD};
    long value = syscall(SYS_clone3, &arguments, sizeof arguments);
    CHECK(value == -1 && (errno == EINVAL || errno == ENOSYS));
    value = syscall(SYS_clone3, &arguments, 1);
    CHECK(value == -1 && (errno == EINVAL || errno == ENOSYS));
    return guest_status();
}
