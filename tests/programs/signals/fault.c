// SIGSEGV: the address, the code and the context; leaving the handler by siglongjmp.
#include "../guest.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile siginfo_t got;
static volatile long error_bits;

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    got = *information;
    error_bits = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
    siglongjmp(back, 1);
}

static void print(const char *what, const void *address)
{
    printf("%s: code=%d address=%d error=%lx\n", what, got.si_code, got.si_addr == address,
           error_bits & 0x17);
}

int main(void)
{
    char *page = guest_map(4096, PROT_READ);
    volatile char *low = guest_bad_pointer();
    guest_handle_info(SIGSEGV, on_fault, 0);
    if (sigsetjmp(back, 1) == 0)
        low[0] = 1;
    print("write to nowhere", (char *)low);
    if (sigsetjmp(back, 1) == 0)
        (void)low[16];
    print("read of nowhere", (char *)low + 16);
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)(page + 100) = 1;
    print("write to a read-only page", page + 100);
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(void *)page)();
    print("running what is no code", page);
    // An address that is not canonical is a general protection fault: no address is known.
    if (sigsetjmp(back, 1) == 0)
        *(volatile char *)(UINT64_C(1) << 62) = 1;
    print("not canonical", NULL);
    SHOW(got.si_code);
    // The handler was left without returning, yet the signal is not blocked.
    sigset_t mask;
    MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
    SHOW(sigismember(&mask, SIGSEGV));
    return guest_status();
}
