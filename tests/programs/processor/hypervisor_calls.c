// Instructions that speak to a hypervisor, make one, or are not there: no program gets anything
// from them.
#include "trap.h"

static char memory[64] __attribute__((aligned(64)));

// A signal, or an answer that says no: which of them depends on the machine.
static void show(const char *name, const void *code)
{
    bool ran = trap_run(code, (Registers){.rax = (unsigned long)memory});
    printf("%s: %s\n", name, !ran || (long)trap_after.rax < 0 ? "refused" : "NOT REFUSED");
}

int main(void)
{
    show("vmcall", CODE("xor %%eax, %%eax\n vmcall"));
    show("vmmcall", CODE("xor %%eax, %%eax\n vmmcall"));
    show("vmxon", CODE("vmxon (%%rax)"));
    show("vmxoff", CODE("vmxoff"));
    show("vmlaunch", CODE("vmlaunch"));
    show("vmresume", CODE("vmresume"));
    show("vmptrld", CODE("vmptrld (%%rax)"));
    show("vmread", CODE("vmread %%rax, %%rcx"));
    show("vmwrite", CODE("vmwrite %%rax, %%rcx"));
    show("vmfunc", CODE("xor %%eax, %%eax\n vmfunc"));
    show("invept", CODE("invept (%%rax), %%rcx"));
    show("invvpid", CODE("invvpid (%%rax), %%rcx"));
    show("invpcid", CODE("invpcid (%%rax), %%rcx"));
    show("vmrun", CODE("vmrun"));
    show("vmload", CODE("vmload"));
    show("vmsave", CODE("vmsave"));
    show("stgi", CODE("stgi"));
    show("clgi", CODE("clgi"));
    show("skinit", CODE("skinit"));
    show("invlpga", CODE(".byte 0x0f, 0x01, 0xdf"));
    show("encls", CODE(".byte 0x0f, 0x01, 0xcf"));
    show("sysexit", CODE("sysexitl"));
    show("monitor", CODE("monitor"));
    show("mwait", CODE("mwait"));
    show("read cr1", CODE(".byte 0x0f, 0x20, 0xc8"));
    show("write cr7", CODE(".byte 0x0f, 0x22, 0xf8"));
    show("read dr4", CODE("xor %%eax, %%eax\n mov %%dr4, %%rax"));
    return guest_status();
}
