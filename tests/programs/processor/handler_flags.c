// The flags with which a handler begins, those in its frame, and those after it.
#include "trap.h"

void on_signal_entry(int, siginfo_t *, void *);
__attribute__((used)) static unsigned long at_entry;
static unsigned long in_frame;

__asm__(".pushsection .text\n on_signal_entry:\n pushf\n pop at_entry(%rip)\n push $0x202\n popf\n "
        "jmp on_signal\n"
        ".popsection");

__attribute__((used)) static void on_signal(int signal_number, siginfo_t *information,
                                            void *context)
{
    (void)signal_number;
    (void)information;
    in_frame = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
}

int main(void)
{
    unsigned long flags[] = {0x8d5, FLAG_DIRECTION, FLAG_ALIGNMENT, FLAG_IDENTIFICATION};
    guest_handle_info(SIGUSR1, on_signal_entry, 0);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool ran = trap_run(CODE("push %%rbx\n popf\n syscall"),
                            (Registers){.rax = SYS_tgkill,
                                        .rbx = flags[i],
                                        .rdi = (unsigned long)getpid(),
                                        .rsi = (unsigned long)gettid(),
                                        .rdx = SIGUSR1});
        printf("%lx: %d entry=%lx frame=%lx after=%lx\n", flags[i], ran, at_entry, in_frame,
               trap_after.rflags);
    }
    // A fault's frame has the resume flag, a trap's has not.
    TRY("fault", "mov (%%rax), %%eax", .rax = 8);
    SHOW(trap_seen.rflags & FLAG_RESUME);
    TRY("breakpoint", "int3");
    SHOW(trap_seen.rflags & FLAG_RESUME);
    return guest_status();
}
