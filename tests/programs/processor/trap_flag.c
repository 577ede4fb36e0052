// The trap flag: which instructions end with a SIGTRAP, across system calls, faults and
// instructions of all kinds.
#include "trap.h"

enum { MOST = 40 };
static long steps[MOST], codes[MOST];
static int count;

static void on_step(int signal_number, siginfo_t *information, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (signal_number == SIGSEGV)
        // The access that fails is two bytes long.
        registers[REG_RIP] += 2;
    if (count < MOST) {
        steps[count] = registers[REG_RIP] - (long)trap_code;
        codes[count++] = signal_number == SIGTRAP ? information->si_code : -signal_number;
    } else {
        registers[REG_EFL] &= ~FLAG_TRAP;
    }
}

#define SET "pushf\n orl $0x100, (%%rsp)\n popf\n"
#define CLEAR "pushf\n andl $~0x100, (%%rsp)\n popf\n"
// Where the first instruction behind SET is.
enum { BEHIND_SET = 9 };

static void step(const char *name, const void *code, Registers registers)
{
    count = 0;
    bool ran = trap_run(code, registers);
    printf("%s: %s", name, ran ? "" : "TRAPPED");
    for (int i = 0; i < count; i++)
        printf(codes[i] == TRAP_TRACE ? " %ld" : " %ld(%ld)", steps[i] - BEHIND_SET, codes[i]);
    printf(", then %d\n", ran && !(trap_after.rflags & FLAG_TRAP));
}

#define STEP(name, text, ...) step(name, CODE(SET text CLEAR), (Registers){__VA_ARGS__})

int main(void)
{
    guest_handle_info(SIGTRAP, on_step, SA_ONSTACK);
    guest_handle_info(SIGSEGV, on_step, SA_ONSTACK);
    char bytes[8] = {0};
    STEP("nothing", "");
    STEP("two", "nop\n nop\n");
    STEP("a system call at once", "syscall\n", .rax = SYS_getpid);
    STEP("a system call", "nop\n syscall\n nop\n", .rax = SYS_getpid);
    STEP("two system calls", "syscall\n mov %%ebx, %%eax\n syscall\n nop\n", .rax = SYS_getpid,
         .rbx = SYS_getpid);
    STEP("asking the processor", "cpuid\n rdtsc\n nop\n");
    STEP("a loaded stack segment", "mov %%ss, %%eax\n mov %%eax, %%ss\n nop\n nop\n");
    STEP("a system call behind it", "mov %%ss, %%ebx\n mov %%ebx, %%ss\n syscall\n nop\n",
         .rax = SYS_getpid);
    STEP("a repetition", "rep stosb\n nop\n", .rcx = 3, .rdi = (unsigned long)bytes);
    STEP("a jump and a call", "jmp 1f\n nop\n 1: call 2f\n jmp 3f\n 2: ret\n 3: nop\n");
    STEP("a breakpoint", "nop\n int3\n nop\n");
    STEP("a fault", "nop\n mov (%%rax), %%eax\n nop\n", .rax = 8);
    // In virtual machines on AMD's processors this instruction may be stepped for ever, without any of ours.
    if (!__builtin_cpu_is("amd"))
        STEP("int1", "nop\n .byte 0xf1\n nop\n");
    STEP("a far return",
         "mov %%cs, %%eax\n push %%rax\n lea 1f(%%rip), %%rdx\n push %%rdx\n lretq\n 1: nop\n");
    STEP("iret",
         "mov %%rsp, %%rcx\n push $0x2b\n push %%rcx\n pushf\n push $0x33\n lea 1f(%%rip), %%rdx\n"
         "push %%rdx\n iretq\n 1: nop\n");
    step("iret that sets it",
         CODE("nop\n nop\n nop\n mov %%rsp, %%rcx\n push $0x2b\n push %%rcx\n push $0x302\n"
              "push $0x33\n lea 1f(%%rip), %%rdx\n push %%rdx\n iretq\n 1: nop\n nop\n" CLEAR),
         (Registers){});
    return guest_status();
}
