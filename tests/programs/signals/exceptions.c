// What the processor refuses becomes a signal with a code: division, bad instructions, traps.
#include "../guest.h"
#include <setjmp.h>
#include <xmmintrin.h>

static sigjmp_buf back;
static volatile siginfo_t got;

static void on_exception(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    got = *information;
    siglongjmp(back, 1);
}

static void print(const char *what)
{
    printf("%s: signal=%s code=%d address=%d\n", what, sigabbrev_np(got.si_signo), got.si_code,
           got.si_addr != NULL);
}

int main(void)
{
    int signals[] = {SIGFPE, SIGILL, SIGTRAP, SIGSEGV, SIGBUS};
    for (int i = 0; i < 5; i++)
        guest_handle_info(signals[i], on_exception, 0);
    volatile int zero = 0, one = 1, lowest = INT32_MIN, minus_one = -1;
    if (sigsetjmp(back, 1) == 0)
        one = one / zero;
    print("division by zero");
    if (sigsetjmp(back, 1) == 0)
        one = lowest / minus_one;
    print("division overflow");
    if (sigsetjmp(back, 1) == 0) {
        volatile double nought = 0, result;
        _MM_SET_EXCEPTION_MASK(_MM_MASK_MASK & ~_MM_MASK_DIV_ZERO);
        result = 1 / nought;
        (void)result;
    }
    _MM_SET_EXCEPTION_MASK(_MM_MASK_MASK);
    print("floating division by zero");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("ud2");
    print("ud2");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("int3");
    print("int3");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("int $3");
    print("int $3");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("hlt");
    print("hlt");
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("mov %0, %%es" : : "r"((short)0x1234));
    print("bad segment");
    return guest_status();
}
