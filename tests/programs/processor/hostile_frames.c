// A handler returns to a context that cannot be: Linux says so at the place where the program then
// is.
#include "trap.h"

// What the handler changes in its frame.
static void (*change)(ucontext_t *, greg_t *);

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    change(context, ((ucontext_t *)context)->uc_mcontext.gregs);
}

static void set_selectors(greg_t *registers, greg_t cs, greg_t ss)
{
    registers[REG_CSGSFS] = cs | ss << 48;
}

static void nothing(ucontext_t *context, greg_t *registers)
{
    (void)context;
    (void)registers;
}

#define CHANGE(name, ...)                                                                          \
    static void name(ucontext_t *context, greg_t *registers)                                       \
    {                                                                                              \
        (void)context;                                                                             \
        __VA_ARGS__;                                                                               \
    }

CHANGE(rip_not_canonical, registers[REG_RIP] = 0x1234567812345678)
CHANGE(rip_first_not_canonical, registers[REG_RIP] = 0x0000800000000000)
CHANGE(rip_last_page, registers[REG_RIP] = 0x00007ffffffff000)
CHANGE(rip_last_byte, registers[REG_RIP] = 0x00007fffffffffff)
CHANGE(rip_kernel, registers[REG_RIP] = (greg_t)0xffffffff81000000)
CHANGE(rip_zero, registers[REG_RIP] = 0)
CHANGE(cs_ring_0, set_selectors(registers, 0x10, 0x2b))
CHANGE(cs_null, set_selectors(registers, 0, 0x2b))
CHANGE(cs_data, set_selectors(registers, 0x2b, 0x2b))
CHANGE(cs_nothing, set_selectors(registers, 0xfff8, 0x2b))
CHANGE(cs_local, set_selectors(registers, 0xf, 0x2b))
CHANGE(cs_without_level, set_selectors(registers, 0x30, 0x28))
CHANGE(ss_ring_0, set_selectors(registers, 0x33, 0x18))
CHANGE(ss_code, set_selectors(registers, 0x33, 0x33))
CHANGE(ss_nothing, set_selectors(registers, 0x33, 0xfff8))
CHANGE(ss_null, set_selectors(registers, 0x33, 0))
CHANGE(both_wrong, set_selectors(registers, 0x10, 0x18); registers[REG_RIP] = 0x1234567812345678)
CHANGE(flags_all, registers[REG_EFL] = ~FLAG_TRAP)
CHANGE(flags_none, registers[REG_EFL] = 0)
CHANGE(flags_virtual, registers[REG_EFL] = 0x23002)
CHANGE(stack_not_canonical, registers[REG_RSP] = 0x1234567812345678)
CHANGE(stack_zero, registers[REG_RSP] = 0)

static void show(const char *name, void (*what)(ucontext_t *, greg_t *))
{
    sigset_t mask;
    change = what;
    bool ran = trap_run(CODE("mov %%rsp, %%r8\n syscall\n mov %%r8, %%rsp"),
                        (Registers){.rax = SYS_tgkill,
                                    .rdi = (unsigned long)getpid(),
                                    .rsi = (unsigned long)gettid(),
                                    .rdx = SIGUSR1});
    printf("%-20s ", name);
    if (ran)
        printf("goes on with flags %lx\n", trap_after.rflags);
    else
        printf("signal=%d code=%d trap=%ld error=%lx rip=%lx\n", trap_seen.signal, trap_seen.code,
               trap_seen.trap, trap_seen.error,
               labs(trap_seen.offset) < 4096 ? (unsigned long)trap_seen.offset : trap_seen.rip);
    MUST(sigprocmask(SIG_SETMASK, NULL, &mask));
    if (sigismember(&mask, SIGUSR1))
        puts("  the signal is blocked");
}

#define SHOW_CHANGE(name) show(#name, name)

int main(void)
{
    guest_handle_info(SIGUSR1, on_signal, 0);
    SHOW_CHANGE(nothing);
    SHOW_CHANGE(rip_not_canonical);
    SHOW_CHANGE(rip_first_not_canonical);
    SHOW_CHANGE(rip_last_page);
    SHOW_CHANGE(rip_last_byte);
    SHOW_CHANGE(rip_kernel);
    SHOW_CHANGE(rip_zero);
    SHOW_CHANGE(cs_ring_0);
    SHOW_CHANGE(cs_null);
    SHOW_CHANGE(cs_data);
    SHOW_CHANGE(cs_nothing);
    SHOW_CHANGE(cs_local);
    SHOW_CHANGE(cs_without_level);
    SHOW_CHANGE(ss_ring_0);
    SHOW_CHANGE(ss_code);
    SHOW_CHANGE(ss_nothing);
    SHOW_CHANGE(ss_null);
    SHOW_CHANGE(both_wrong);
    SHOW_CHANGE(flags_all);
    SHOW_CHANGE(flags_none);
    SHOW_CHANGE(flags_virtual);
    SHOW_CHANGE(stack_not_canonical);
    SHOW_CHANGE(stack_zero);
    return guest_status();
}
