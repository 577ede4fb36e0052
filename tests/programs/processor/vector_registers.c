// Vector and mask registers are a thread's own: across system calls, handlers, and the turns of
// other threads, which come at any moment.
#include "../guest.h"

enum { THREADS = 4, ROUNDS = 8, SPIN = 1000000 };

typedef struct {
    unsigned long vectors[32][8], masks[8], multimedia[8];
} State;

// What happens while the registers are loaded: a system call, or `times` around an empty loop.
typedef struct {
    long call, arguments[3], times;
} Wait;

#define EACH(which, text) ".irp reg," which "\n" text "\n.endr\n"
#define EIGHT "0,1,2,3,4,5,6,7"
#define SIXTEEN EIGHT ",8,9,10,11,12,13,14,15"
#define ALL SIXTEEN ",16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

// rbx leads to the state to load, r12 to where to store it.
#define ACROSS(load, store)                                                                        \
    __asm__ volatile(EACH(EIGHT, "movq (2112 + \\reg * 8)(%%rbx), %%mm\\reg") load                 \
                     "test %%r13, %%r13\n jnz 1f\n syscall\n jmp 2f\n"                             \
                     "1: dec %%r13\n jnz 1b\n 2:" store EACH(                                      \
                         EIGHT, "movq %%mm\\reg, (2112 + \\reg * 8)(%%r12)") "emms\n"              \
                     : "+a"(call), "+r"(times)                                                     \
                     : "b"(before), "r"(out), "D"(wait.arguments[0]), "S"(wait.arguments[1]),      \
                       "d"(wait.arguments[2])                                                      \
                     : "rcx", "r11", "memory", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6",    \
                       "mm7", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",      \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

#define OPERANDS                                                                                   \
    long call = wait.call;                                                                         \
    register long times __asm__("r13") = wait.times;                                               \
    register State *out __asm__("r12") = after

static void across_sse(const State *before, State *after, Wait wait)
{
    OPERANDS;
    ACROSS(EACH(SIXTEEN, "movups (\\reg * 64)(%%rbx), %%xmm\\reg"),
           EACH(SIXTEEN, "movups %%xmm\\reg, (\\reg * 64)(%%r12)"));
}

static __attribute__((target("avx"))) void across_avx(const State *before, State *after, Wait wait)
{
    OPERANDS;
    ACROSS(EACH(SIXTEEN, "vmovups (\\reg * 64)(%%rbx), %%ymm\\reg"),
           EACH(SIXTEEN, "vmovups %%ymm\\reg, (\\reg * 64)(%%r12)") "vzeroupper\n");
}

static __attribute__((target("avx512bw"))) void across_avx512(const State *before, State *after,
                                                              Wait wait)
{
    OPERANDS;
    ACROSS(EACH(ALL, "vmovups (\\reg * 64)(%%rbx), %%zmm\\reg")
               EACH(EIGHT, "kmovq (2048 + \\reg * 8)(%%rbx), %%k\\reg"),
           EACH(ALL, "vmovups %%zmm\\reg, (\\reg * 64)(%%r12)")
               EACH(EIGHT, "kmovq %%k\\reg, (2048 + \\reg * 8)(%%r12)") "vzeroupper\n");
}

static void (*across)(const State *, State *, Wait);
// Words of a vector register that there are.
static int words;

static bool kept(unsigned long seed, Wait wait)
{
    State before, after;
    unsigned long *word = (unsigned long *)&before;
    for (size_t i = 0; i < sizeof before / 8; i++)
        word[i] = (seed + i + 1) * 0x9e3779b97f4a7c15;
    memset(&after, 0, sizeof after);
    across(&before, &after, wait);
    bool same = memcmp(before.multimedia, after.multimedia, sizeof after.multimedia) == 0;
    for (int i = 0; i < (words == 8 ? 32 : 16); i++)
        same &= memcmp(before.vectors[i], after.vectors[i], (size_t)words * 8) == 0;
    return same && (words < 8 || memcmp(before.masks, after.masks, sizeof after.masks) == 0);
}

// Has other registers of its own.
static void on_signal(int signal_number)
{
    State junk, out;
    memset(&junk, 0xee, sizeof junk);
    across(&junk, &out, (Wait){.call = SYS_gettid, .arguments = {signal_number}});
}

static int threads_failed;

static void *thread(void *number)
{
    unsigned long seed = (unsigned long)number * 1000;
    bool all = true;
    for (int round = 0; round < ROUNDS; round++) {
        Wait signal = {.call = SYS_tgkill, .arguments = {getpid(), gettid(), SIGUSR1}};
        all &= kept(seed++, (Wait){.call = SYS_getpid});
        all &= kept(seed++, (Wait){.call = SYS_sched_yield});
        all &= kept(seed++, signal);
        all &= kept(seed++, (Wait){.times = SPIN});
    }
    if (!all)
        __atomic_add_fetch(&threads_failed, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void try(const char *name, void (*which)(const State *, State *, Wait), int width)
{
    pthread_t threads[THREADS];
    across = which;
    words = width;
    for (long i = 0; i < THREADS; i++)
        threads[i] = guest_thread(thread, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%s: %d threads failed\n", name, threads_failed);
}

int main(void)
{
    guest_handle(SIGUSR1, on_signal, 0);
    try("sse", across_sse, 2);
    if (__builtin_cpu_supports("avx"))
        try("avx", across_avx, 4);
    if (__builtin_cpu_supports("avx512bw"))
        try("avx512", across_avx512, 8);
    return guest_status();
}
