// Handlers and the code that they return to at addresses that cannot be: a fault there, which
// another handler sees.
#include "trap.h"

static const unsigned long addresses[] = {
    2, 0x1000, 0x00007ffffffff000, 0x0000800000000000, 0x1234567812345678, 0xffffffff81000000, -1ul,
};

struct kernel_action {
    unsigned long handler, flags, restorer, mask;
};

static void nothing(int signal_number)
{
    (void)signal_number;
}

static void raise_with(const char *what, unsigned long handler, unsigned long restorer)
{
    // SA_RESTORER and SA_NODEFER.
    struct kernel_action action = {handler, 0x44000000, restorer, 0};
    MUST(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
    trap_expected = handler;
    bool ran = trap_run(CODE("syscall"), (Registers){.rax = SYS_tgkill,
                                                     .rdi = (unsigned long)getpid(),
                                                     .rsi = (unsigned long)gettid(),
                                                     .rdx = SIGUSR1});
    if (ran)
        printf("%s: goes on\n", what);
    else
        trap_show(what);
}

int main(void)
{
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        printf("%lx\n", addresses[i]);
        raise_with("handler", addresses[i], (unsigned long)nothing);
        raise_with("restorer", (unsigned long)nothing, addresses[i]);
    }
    raise_with("restorer that is no restorer", (unsigned long)nothing, (unsigned long)trap_landing);
    return guest_status();
}
