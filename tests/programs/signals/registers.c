// A handler sees and restores the general registers; what it changes in the context, it changes.
#include "../guest.h"
#include <ucontext.h>

static volatile long seen[3];

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    seen[0] = registers[REG_RBX];
    seen[1] = registers[REG_R12];
    seen[2] = registers[REG_R15];
    registers[REG_R15] = 99;
    // Spoil the registers that a function must keep, through the compiler's back door.
    __asm__ volatile("xor %%ebx, %%ebx\n xor %%r12d, %%r12d\n std\n cld" : : : "rbx", "r12");
}

int main(void)
{
    guest_handle_info(SIGUSR1, on_signal, 0);
    long number = SYS_tgkill, rbx, r12, r15, flags;
    __asm__ volatile("mov $11, %%rbx\n mov $12, %%r12\n mov $15, %%r15\n stc\n"
                     "syscall\n pushf\n pop %3\n mov %%rbx, %0\n mov %%r12, %1\n mov %%r15, %2\n"
                     : "=m"(rbx), "=m"(r12), "=m"(r15), "=m"(flags), "+a"(number)
                     : "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)
                     : "rbx", "r12", "r15", "rcx", "r11", "memory", "cc");
    printf("seen %ld %ld %ld\n", seen[0], seen[1], seen[2]);
    printf("after %ld %ld %ld\n", rbx, r12, r15);
    SHOW(number);
    // The carry flag is kept.
    SHOW(flags & 1);
    return guest_status();
}
