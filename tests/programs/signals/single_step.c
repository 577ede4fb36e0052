// The trap flag: one SIGTRAP after each instruction, until the handler clears it.
#include "../guest.h"
#include <ucontext.h>

static volatile sig_atomic_t steps, code;

static void on_trap(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    code = information->si_code;
    ucontext_t *state = context;
    if (++steps == 5)
        state->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
}

int main(void)
{
    guest_handle_info(SIGTRAP, on_trap, 0);
    long value = 0;
    __asm__ volatile("pushf\n orl $0x100, (%%rsp)\n popf\n"
                     "inc %0\n inc %0\n inc %0\n inc %0\n inc %0\n inc %0\n inc %0\n inc %0\n"
                     : "+r"(value)
                     :
                     : "cc", "memory");
    SHOW(value);
    SHOW(steps);
    CHECK(code == TRAP_TRACE);
    return guest_status();
}
