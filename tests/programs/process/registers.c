// A system call changes rax, rcx and r11 and nothing else: not the flags, not SSE or AVX.
#include "../guest.h"
#include <immintrin.h>

static long call_and_count(void)
{
    // Loads every other register, makes a call, and counts the registers that changed.
    long wrong = 0, rcx, r11, flags;
    __asm__ volatile(
        "mov $2, %%rbx\n mov $3, %%rdx\n mov $4, %%rsi\n mov $5, %%rdi\n mov $8, %%r8\n"
        "mov $9, %%r9\n mov $10, %%r10\n mov $12, %%r12\n mov $13, %%r13\n mov $14, %%r14\n"
        "mov $15, %%r15\n mov %[number], %%eax\n"
        "std\n stc\n syscall\n pushf\n pop %[flags]\n cld\n"
        "mov %%rcx, %[rcx]\n mov %%r11, %[r11]\n xor %%ecx, %%ecx\n"
        "cmp $2, %%rbx\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $3, %%rdx\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $4, %%rsi\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $5, %%rdi\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $8, %%r8\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $9, %%r9\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $10, %%r10\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $12, %%r12\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $13, %%r13\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $14, %%r14\n setne %%cl\n add %%rcx, %[wrong]\n"
        "cmp $15, %%r15\n setne %%cl\n add %%rcx, %[wrong]\n"
        : [wrong] "+m"(wrong), [rcx] "=m"(rcx), [r11] "=m"(r11), [flags] "=m"(flags)
        : [number] "i"(SYS_getpid)
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
          "r15", "memory", "cc");
    // rcx is where the call returned to, r11 the flags: direction (0x400) and carry (1) were set.
    CHECK((flags & 0x401) == 0x401);
    CHECK(((unsigned long)r11 & 0x401) == 0x401);
    CHECK((unsigned long)rcx - (unsigned long)call_and_count < 4096);
    return wrong;
}

__attribute__((target("avx"))) static bool keeps_avx(void)
{
    float out[8];
    __m256 value = _mm256_set_ps(1, 2, 3, 4, 5, 6, 7, 8);
    long number = SYS_getpid;
    __asm__ volatile("syscall" : "+a"(number), "+x"(value) : : "rcx", "r11", "memory");
    _mm256_storeu_ps(out, value);
    return out[0] == 8 && out[7] == 1;
}

int main(void)
{
    SHOW(call_and_count());
    if (__builtin_cpu_supports("avx"))
        CHECK(keeps_avx());
    // Rounding modes of both floating-point units.
    unsigned status = 0x5f80, after;
    unsigned short control = 0x0c7f, control_after;
    __asm__ volatile("ldmxcsr %0\n fldcw %1" : : "m"(status), "m"(control));
    syscall(SYS_getpid);
    __asm__ volatile("stmxcsr %0\n fnstcw %1" : "=m"(after), "=m"(control_after));
    printf("mxcsr=%x control=%x\n", after & ~0x3f, control_after);
    return guest_status();
}
