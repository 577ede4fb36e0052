// The bases of FS and GS: what a program can set them to by itself, and what it reads there.
#include "trap.h"
#include <sys/auxv.h>

static unsigned long word = 0x77;

int main(void)
{
    unsigned long ours = (unsigned long)&word;
    if (!(getauxval(AT_HWCAP2) & 2)) {
        puts("only the kernel sets them");
        return 0;
    }
    TRY("gs", "wrgsbase %%rbx\n rdgsbase %%rcx\n mov %%gs:0, %%rax", .rbx = ours);
    CHECK(trap_after.rax == word && trap_after.rcx == ours);
    TRY("gs after a call", "wrgsbase %%rbx\n syscall\n rdgsbase %%rcx\n mov %%gs:0, %%rax",
        .rax = SYS_getpid, .rbx = ours);
    CHECK(trap_after.rax == word && trap_after.rcx == ours);
    TRY("fs",
        "rdfsbase %%rdx\n wrfsbase %%rbx\n rdfsbase %%rcx\n mov %%fs:0, %%rax\n wrfsbase %%rdx",
        .rbx = ours);
    CHECK(trap_after.rax == word && trap_after.rcx == ours);
    TRY("fs during a call",
        "rdfsbase %%rdx\n wrfsbase %%rbx\n syscall\n rdfsbase %%rcx\n mov %%fs:0, %%rax\n wrfsbase "
        "%%rdx",
        .rax = SYS_getpid, .rbx = ours);
    CHECK(trap_after.rax == word && trap_after.rcx == ours);
    // What the kernel says of a base that the program has set itself.
    TRY("asked of the kernel", "wrgsbase %%rbx\n syscall", .rax = SYS_arch_prctl, .rbx = ours,
        .rdi = ARCH_GET_GS, .rsi = (unsigned long)&trap_expected);
    CHECK(trap_expected == ours);
    TRY("gs not canonical", "wrgsbase %%rbx", .rbx = 0x800000000000);
    TRY("fs not canonical", "wrfsbase %%rbx", .rbx = 0xdeadbeefdeadbeef);
    trap_expected = 16;
    TRY("gs nowhere", "wrgsbase %%rbx\n mov %%gs:8, %%rax", .rbx = 8);
    TRY("fs nowhere", "rdfsbase %%rdx\n wrfsbase %%rbx\n mov %%fs:8, %%rax", .rbx = 8);
    trap_expected = 0xffff888000000008;
    TRY("gs in the kernel", "wrgsbase %%rbx\n mov %%gs:8, %%rax", .rbx = 0xffff888000000000);
    TRY("fs in the kernel", "wrfsbase %%rbx\n mov %%fs:8, %%rax", .rbx = 0xffff888000000000);
    TRY("beyond the lower half", "wrgsbase %%rbx\n mov %%gs:8, %%rax", .rbx = 0x7ffffffffff8);
    TRY("wrapped around", "wrgsbase %%rbx\n mov %%gs:(%%rcx), %%rax", .rbx = ours + 4096,
        .rcx = -4096ul);
    CHECK(trap_after.rax == word);
    return guest_status();
}
