// exit: SIGSEGV
// A signal whose frame does not fit on the stack kills, even though another signal was raised.
#include "../guest.h"

static void on_signal(int signal_number)
{
    (void)signal_number;
    puts("handler");
}

int main(void)
{
    guest_handle(SIGUSR1, on_signal, 0);
    char *nowhere = guest_map(4096, PROT_NONE) + 4096;
    puts("before");
    __asm__ volatile("mov %0, %%rsp\n syscall\n ud2"
                     :
                     : "r"(nowhere), "a"((long)SYS_tgkill), "D"((long)getpid()),
                       "S"((long)gettid()), "d"((long)SIGUSR1)
                     : "rcx", "r11", "memory");
    return 0;
}
