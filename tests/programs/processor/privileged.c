// What only a kernel may do: each such instruction is refused.
#include "trap.h"

static char memory[64] __attribute__((aligned(64)));

int main(void)
{
    unsigned long table = (unsigned long)memory;
    TRY("cli", "cli");
    TRY("sti", "sti");
    TRY("hlt", "hlt");
    TRY("clts", "clts");
    TRY("invd", "invd");
    TRY("wbinvd", "wbinvd");
    TRY("lgdt", "lgdt (%%rax)", .rax = table);
    TRY("lidt", "lidt (%%rax)", .rax = table);
    TRY("lldt", "lldt %%ax");
    TRY("ltr", "ltr %%ax", .rax = 0x40);
    TRY("lmsw", "lmsw %%ax");
    TRY("invlpg", "invlpg (%%rax)", .rax = table);
    TRY("rdmsr", "rdmsr", .rcx = 0xc0000082);
    TRY("wrmsr", "wrmsr", .rcx = 0xc0000082);
    TRY("rdmsr of nothing", "rdmsr", .rcx = 0x12345678);
    TRY("rdpmc", "rdpmc");
    TRY("xsetbv", "xsetbv", .rax = 1);
    TRY("swapgs", "swapgs");
    TRY("sysretl", "sysretl");
    TRY("sysretq", "sysretq");
    TRY("rsm", "rsm");
    TRY("stac", "stac");
    TRY("clac", "clac");
    return guest_status();
}
