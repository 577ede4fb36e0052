// A handler repairs the cause of a fault, or steps over it, and returns: the program goes on.
#include "../guest.h"
#include <ucontext.h>

static char *page;
static volatile sig_atomic_t faults;

static void make_writable(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    faults++;
    char *where = (char *)((uintptr_t)information->si_addr & ~4095ul);
    MUST(mprotect(where, 4096, PROT_READ | PROT_WRITE));
}

static void step_over(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    ucontext_t *state = context;
    // ud2 is two bytes long. The program will find another value in its register.
    state->uc_mcontext.gregs[REG_RIP] += 2;
    state->uc_mcontext.gregs[REG_RBX] = 1234;
}

int main(void)
{
    enum { PAGES = 8 };
    page = guest_map(PAGES * 4096, PROT_NONE);
    guest_handle_info(SIGSEGV, make_writable, 0);
    for (int i = 0; i < PAGES * 4096; i += 512)
        ((volatile char *)page)[i] = (char)(i / 512);
    SHOW(faults);
    int wrong = 0;
    for (int i = 0; i < PAGES * 4096; i += 512)
        wrong += page[i] != (char)(i / 512);
    SHOW(wrong);

    guest_handle_info(SIGILL, step_over, 0);
    long value = 1;
    __asm__ volatile("ud2" : "+b"(value));
    SHOW(value);
    return guest_status();
}
