// The vector state in a handler's frame, spoilt: what Linux refuses, what it takes, and what then
// is in the registers.
#include "trap.h"

enum { MAGIC_1 = 464, FEATURES = 472, SIZE = 480, HEADER = 512, COMPACTED = 520, RESERVED = 528 };

static void (*change)(unsigned char *area, greg_t *registers, ucontext_t *context);
__attribute__((used)) static unsigned long pattern[2] = {0x1111111111111111, 0x2222222222222222};
__attribute__((used)) static unsigned long found[2];
__attribute__((used)) static unsigned long high;
__attribute__((used)) static unsigned modes;

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    ucontext_t *state = context;
    change((unsigned char *)state->uc_mcontext.fpregs, state->uc_mcontext.gregs, state);
}

static void put(unsigned char *at, unsigned long value)
{
    memcpy(at, &value, 8);
}

static unsigned char *other_place(void)
{
    return (unsigned char *)guest_map(16384, PROT_READ | PROT_WRITE);
}

// Bytes of the area, its last magic word included.
static size_t whole_size(const unsigned char *area)
{
    unsigned size;
    memcpy(&size, area + MAGIC_1 + 4, sizeof size);
    return size;
}

#define CHANGE(name, ...)                                                                          \
    static void name(unsigned char *area, greg_t *registers, ucontext_t *context)                  \
    {                                                                                              \
        (void)area, (void)registers, (void)context;                                                \
        __VA_ARGS__;                                                                               \
    }

#define AREA(to) context->uc_mcontext.fpregs = (void *)(to)

CHANGE(nothing, (void)0)
CHANGE(no_area, AREA(NULL))
CHANGE(area_nowhere, AREA(8192))
CHANGE(area_not_canonical, AREA(0x1234567812345640))
CHANGE(area_in_kernel, AREA(0xffff888000000000))
CHANGE(area_unaligned, AREA(area + 8))
CHANGE(area_last_page, AREA(other_place() + 16384 - 512))
CHANGE(area_read_only, unsigned char *place = other_place(); memcpy(place, area, whole_size(area));
       AREA(place); mprotect(place, 16384, PROT_READ))
CHANGE(all_zero, memset(area, 0, 512))
CHANGE(all_ones, memset(area, 0xff, 576))
CHANGE(no_magic, put(area + MAGIC_1, 0))
CHANGE(size_zero, memset(area + SIZE, 0, 4))
CHANGE(size_huge, memset(area + SIZE, 0xff, 4))
CHANGE(no_features, put(area + FEATURES, 0))
CHANGE(all_features, put(area + FEATURES, -1ul))
CHANGE(header_zero, put(area + HEADER, 0))
CHANGE(header_ones, put(area + HEADER, -1ul))
CHANGE(header_unknown, area[HEADER + 7] |= 0x40)
// Which parts are in use, each case says itself: Linux has protection keys in use where the CPU has them, and a part in use
// that the compaction leaves out is refused.
CHANGE(compacted, put(area + COMPACTED, 1ul << 63 | 3); put(area + HEADER, 3))
CHANGE(compacted_all, put(area + COMPACTED, 1ul << 63 | 7); put(area + HEADER, 7);
       memset(area + 576, 0x66, 256))
CHANGE(compacted_modes, put(area + COMPACTED, 1ul << 63 | 7); put(area + HEADER, 4);
       memset(area + 24, 0xff, 4); memset(area + 576, 0x66, 256))
CHANGE(compacted_nothing, put(area + COMPACTED, 1ul << 63); put(area + HEADER, 0))
CHANGE(compacted_less, put(area + COMPACTED, 1ul << 63 | 1); put(area + HEADER, 3))
CHANGE(compacted_unknown, put(area + COMPACTED, 1ul << 63 | 1ul << 62 | 7); put(area + HEADER, 3))
CHANGE(compacted_reserved, put(area + COMPACTED, 1ul << 63 | 7); put(area + HEADER, 3);
       area[575] = 1)
CHANGE(reserved, put(area + RESERVED, 1))
CHANGE(reserved_last, area[575] = 1)
CHANGE(modes_reserved, memset(area + 24, 0xff, 4))
CHANGE(modes_unmasked, put(area + 24, 0xffff00000000 | 0))
CHANGE(x87_pending, area[0] = 0x40; area[1] = 3; area[2] = 0x84; area[3] = 0x80)
CHANGE(registers_changed, memset(area + 160, 0x55, 16))

#define LOAD \
    "movups pattern(%%rip), %%xmm0\n syscall\n movups %%xmm0, found(%%rip)\n"
#define LOAD_MODES LOAD "stmxcsr modes(%%rip)\n"

static void show(const char *name, void (*what)(unsigned char *, greg_t *, ucontext_t *))
{
    change = what;
    found[0] = found[1] = high = 0;
    Registers call = {.rax = SYS_tgkill,
                      .rdi = (unsigned long)getpid(),
                      .rsi = (unsigned long)gettid(),
                      .rdx = SIGUSR1};
    bool ran;
    if (__builtin_cpu_supports("avx"))
        ran = trap_run(
            CODE(LOAD_MODES "vextractf128 $1, %%ymm0, %%xmm0\n movq %%xmm0, high(%%rip)"), call);
    else
        ran = trap_run(CODE(LOAD_MODES), call);
    if (ran)
        printf("%s: %lx %lx above %lx modes %x\n", name, found[0], found[1], high, modes);
    else
        printf("%s: signal=%d code=%d at %ld\n", name, trap_seen.signal, trap_seen.code,
               trap_seen.offset);
    sigset_t mask;
    MUST(sigprocmask(SIG_SETMASK, NULL, &mask));
    if (sigismember(&mask, SIGUSR1))
        puts("  the signal is blocked");
    modes = 0x1f80;
    trap_run(CODE("ldmxcsr modes(%%rip)"), (Registers){});
}

#define SHOW_CHANGE(name) show(#name, name)

int main(void)
{
    // An emulated processor may take any modes.
    modes = 0xffff1f80;
    bool refuses_modes = !trap_run(CODE("ldmxcsr modes(%%rip)"), (Registers){});
    modes = 0x1f80;
    trap_run(CODE("ldmxcsr modes(%%rip)"), (Registers){});
    guest_handle_info(SIGUSR1, on_signal, 0);
    SHOW_CHANGE(nothing);
    SHOW_CHANGE(no_area);
    SHOW_CHANGE(area_nowhere);
    SHOW_CHANGE(area_not_canonical);
    SHOW_CHANGE(area_in_kernel);
    SHOW_CHANGE(area_unaligned);
    SHOW_CHANGE(area_last_page);
    SHOW_CHANGE(area_read_only);
    SHOW_CHANGE(all_zero);
    if (refuses_modes)
        SHOW_CHANGE(all_ones);
    SHOW_CHANGE(no_magic);
    SHOW_CHANGE(size_zero);
    SHOW_CHANGE(size_huge);
    SHOW_CHANGE(no_features);
    SHOW_CHANGE(all_features);
    SHOW_CHANGE(header_zero);
    SHOW_CHANGE(header_ones);
    SHOW_CHANGE(header_unknown);
    SHOW_CHANGE(compacted);
    SHOW_CHANGE(compacted_all);
    if (refuses_modes)
        SHOW_CHANGE(compacted_modes);
    SHOW_CHANGE(compacted_nothing);
    SHOW_CHANGE(compacted_less);
    SHOW_CHANGE(compacted_unknown);
    SHOW_CHANGE(compacted_reserved);
    SHOW_CHANGE(reserved);
    SHOW_CHANGE(reserved_last);
    if (refuses_modes)
        SHOW_CHANGE(modes_reserved);
    SHOW_CHANGE(modes_unmasked);
    SHOW_CHANGE(x87_pending);
    SHOW_CHANGE(registers_changed);
    return guest_status();
}
