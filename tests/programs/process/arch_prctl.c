// arch_prctl: FS holds the thread pointer, GS is free to use; both per thread.
#include "../guest.h"
#include <asm/prctl.h>

static __thread int marker;

static uint64_t read_gs(void)
{
    uint64_t value;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    return value;
}

static void *thread(void *creators_word)
{
    unsigned long base = 0;
    // A new thread starts with its creator's base.
    MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    CHECK(base == (unsigned long)creators_word);
    uint64_t mine = 22;
    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, &mine));
    SHOW(read_gs());
    SHOW(marker);
    return NULL;
}

int main(void)
{
    unsigned long base = 0, self;
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
    // The first word of the thread's control block points to itself.
    __asm__("mov %%fs:0, %0" : "=r"(self));
    CHECK(base == self);
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_FS, base));
    marker = 5;
    SHOW(marker);

    uint64_t word = 11;
    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, &word));
    SHOW(read_gs());
    MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
    CHECK(base == (unsigned long)&word);
    pthread_join(guest_thread(thread, &word), NULL);
    sched_yield();
    SHOW(read_gs());

    SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, UINT64_C(1) << 63));
    SHOW(syscall(SYS_arch_prctl, ARCH_GET_FS, guest_bad_pointer()));
    SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
    return guest_status();
}
