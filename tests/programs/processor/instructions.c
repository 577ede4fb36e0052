// Instructions that a program may use to look at the processor work, each where it says that it
// has it.
#include "trap.h"
#include <cpuid.h>
#include <sys/auxv.h>

static bool has(unsigned leaf, char word, int bit)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(leaf, 0, &a, &b, &c, &d);
    return (word == 'a' ? a : word == 'b' ? b : word == 'c' ? c : d) >> bit & 1;
}

// An instruction is there if cpuid says so.
static void works(const char *name, bool said, const void *code)
{
    bool ran = trap_run(code, (Registers){.rsi = (unsigned long)&trap_after});
    if (!ran && trap_seen.trap != 6)
        trap_show(name);
    printf("%s: %s\n", name, ran || !said ? "as cpuid says" : "NOT as cpuid says");
}

int main(void)
{
    // What every processor with 64 bits has.
    TRY("cpuid", "cpuid");
    TRY("rdtsc", "rdtsc");
    TRY("pause", "pause");
    TRY("lfence", "lfence\n mfence\n sfence");
    TRY("clflush", "clflush (%%rsi)", .rsi = (unsigned long)&trap_after);
    TRY("prefetch of nothing", "prefetcht0 (%%rsi)\n prefetchnta (%%rsi)", .rsi = 8);
    works("rdtscp", has(0x80000001, 'd', 27), CODE("rdtscp"));
    works("rdrand", has(1, 'c', 30), CODE("rdrand %%rax"));
    works("rdseed", has(7, 'b', 18), CODE("rdseed %%rax"));
    works("rdpid", has(7, 'c', 22), CODE("rdpid %%rax"));
    works("xgetbv", has(1, 'c', 27), CODE("xor %%ecx, %%ecx\n xgetbv"));
    works("rdpkru", has(7, 'c', 4), CODE("xor %%ecx, %%ecx\n rdpkru"));
    works("rdfsbase", getauxval(AT_HWCAP2) >> 1 & 1, CODE("rdfsbase %%rax"));
    works("clflushopt", has(7, 'b', 23), CODE("clflushopt (%%rsi)"));
    works("clwb", has(7, 'b', 24), CODE("clwb (%%rsi)"));
    works("movbe", has(1, 'c', 22), CODE("movbe (%%rsi), %%rax"));
    works("popcnt", has(1, 'c', 23), CODE("popcnt %%rax, %%rax"));
    works("bmi1", has(7, 'b', 3), CODE("andn %%rax, %%rax, %%rax"));
    works("bmi2", has(7, 'b', 8), CODE("mulx %%rax, %%rax, %%rcx"));
    works("adx", has(7, 'b', 19), CODE("adcx %%rax, %%rcx"));
    works("aes", has(1, 'c', 25), CODE("aesenc %%xmm0, %%xmm0"));
    works("avx", has(1, 'c', 28), CODE("vzeroupper"));
    works("avx2", has(7, 'b', 5), CODE("vpaddd %%ymm0, %%ymm0, %%ymm0"));
    works("fma", has(1, 'c', 12), CODE("vfmadd231sd %%xmm0, %%xmm0, %%xmm0"));
    works("avx512f", has(7, 'b', 16), CODE("vpaddd %%zmm0, %%zmm0, %%zmm0"));
    // An unknown extended control register is refused.
    TRY("xgetbv of nothing", "mov $77, %%ecx\n xgetbv");
    return guest_status();
}
