// A handler may use every vector and floating-point register: the program's are as before.
#include "../guest.h"
#include <immintrin.h>
#include <ucontext.h>

static unsigned short control_word(void)
{
    unsigned short word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static __attribute__((target("avx"))) void clear_avx(void)
{
    __asm__ volatile("vzeroall");
}

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    CHECK(((ucontext_t *)context)->uc_mcontext.fpregs != NULL);
    // A handler starts with the default modes, not with the program's.
    CHECK(_MM_GET_ROUNDING_MODE() == _MM_ROUND_NEAREST && control_word() == 0x37f);
    if (__builtin_cpu_supports("avx"))
        clear_avx();
    __asm__ volatile("fldz\n pxor %%xmm0, %%xmm0\n pxor %%xmm15, %%xmm15" : : : "xmm0", "xmm15");
    _MM_SET_ROUNDING_MODE(_MM_ROUND_UP);
}

// The signal is delivered as the call returns, with the registers live.
#define SIGNAL_MYSELF(...)                                                                        \
    do {                                                                                          \
        long number = SYS_tgkill;                                                                 \
        __asm__ volatile("syscall"                                                                \
                         : "+a"(number), __VA_ARGS__                                              \
                         : "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)           \
                         : "rcx", "r11", "memory");                                               \
    } while (0)

static __attribute__((target("avx"))) bool avx_kept(void)
{
    float out[8];
    bool same = true;
    __m256 value = _mm256_set_ps(1, 2, 3, 4, 5, 6, 7, 8);
    SIGNAL_MYSELF("+x"(value));
    _mm256_storeu_ps(out, value);
    for (int i = 0; i < 8; i++)
        same &= out[i] == 8 - i;
    return same;
}

static bool sse_kept(void)
{
    double out[2];
    __m128d value = _mm_set_pd(1.5, 2.5);
    SIGNAL_MYSELF("+x"(value));
    _mm_storeu_pd(out, value);
    return out[0] == 2.5 && out[1] == 1.5;
}

static bool x87_kept(void)
{
    long double pi = 3.14159265358979323846L, value = pi;
    SIGNAL_MYSELF("+t"(value));
    return value == pi;
}

int main(void)
{
    unsigned short control = 0x77f;
    guest_handle_info(SIGUSR1, on_signal, 0);
    _MM_SET_ROUNDING_MODE(_MM_ROUND_DOWN);
    __asm__ volatile("fldcw %0" : : "m"(control));
    CHECK(sse_kept());
    CHECK(x87_kept());
    if (__builtin_cpu_supports("avx"))
        CHECK(avx_kept());
    CHECK(_MM_GET_ROUNDING_MODE() == _MM_ROUND_DOWN && control_word() == control);
    return guest_status();
}
