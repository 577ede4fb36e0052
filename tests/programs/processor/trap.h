// Shared by the programs of this area: runs instructions that the processor may refuse, and shows
// what comes of it.
//
//     TRY("halt", "hlt");              prints  halt: SEGV code=128 address=none trap=13 error=0
//     TRY("nothing", "nop");           prints  nothing: goes on
//     TRY("divide", "div %%ecx", .rax = 1, .rcx = 0);       with registers
//     bool ran = trap_run(CODE("rdmsr"), (Registers){.rcx = 1});       then trap_after or trap_seen
//
// The instructions are called like a function, of which they may spoil all but the stack; where
// they are refused, it is as if they had returned. An address that a signal tells is shown as
// `none` (0), `here` (that of the instruction), `expected` (that in trap_expected) or `elsewhere`.
#ifndef TRAP_H
#define TRAP_H

#include "../guest.h"
#include <asm/prctl.h>
#include <ucontext.h>

#define FLAG_TRAP 0x100L
#define FLAG_DIRECTION 0x400L
#define FLAG_NESTED_TASK 0x4000L
#define FLAG_RESUME 0x10000L
#define FLAG_ALIGNMENT 0x40000L
#define FLAG_IDENTIFICATION 0x200000L

typedef struct {
    unsigned long rax, rbx, rcx, rdx, rsi, rdi, r8, r9, rflags;
} Registers;

typedef struct {
    int signal, code;
    uintptr_t address, rip, rsp;
    long trap, error, rflags;
    // From the beginning of the code.
    long offset;
} Trap;

static Trap trap_seen;
static uintptr_t trap_expected;
__attribute__((used)) static Registers trap_before, trap_after;
__attribute__((used)) static unsigned long trap_thread_pointer, trap_stack, trap_code;

// Calls `code`; 1, or 0 after a trap.
int trap_call(const void *code);
extern const char trap_landing[];
void trap_entry(int, siginfo_t *, void *);

__asm__(".pushsection .text\n"
        "trap_call:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    mov %rsp, trap_stack(%rip)\n mov %rdi, %r11\n"
        "    mov trap_before(%rip), %rax\n mov trap_before+8(%rip), %rbx\n"
        "    mov trap_before+16(%rip), %rcx\n mov trap_before+24(%rip), %rdx\n"
        "    mov trap_before+32(%rip), %rsi\n mov trap_before+40(%rip), %rdi\n"
        "    mov trap_before+48(%rip), %r8\n mov trap_before+56(%rip), %r9\n"
        "    push $0x202\n popf\n call *%r11\n"
        "    pushf\n pop trap_after+64(%rip)\n"
        "    mov %rax, trap_after(%rip)\n mov %rbx, trap_after+8(%rip)\n"
        "    mov %rcx, trap_after+16(%rip)\n mov %rdx, trap_after+24(%rip)\n"
        "    mov %rsi, trap_after+32(%rip)\n mov %rdi, trap_after+40(%rip)\n"
        "    mov %r8, trap_after+48(%rip)\n mov %r9, trap_after+56(%rip)\n"
        "    mov $1, %eax\n jmp 1f\n"
        "trap_landing:\n"
        "    xor %eax, %eax\n"
        "1:  push $0x202\n popf\n fninit\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        // The handler: ordinary flags and the thread pointer, then C.
        "trap_entry:\n"
        "    push $0x202\n popf\n push %rdi\n push %rsi\n push %rdx\n"
        "    mov $158, %eax\n mov $0x1002, %edi\n mov trap_thread_pointer(%rip), %rsi\n syscall\n"
        "    pop %rdx\n pop %rsi\n pop %rdi\n jmp trap_caught\n"
        ".popsection\n");

__attribute__((used)) static void trap_caught(int signal_number, siginfo_t *information,
                                              void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    trap_seen = (Trap){
        .signal = signal_number,
        .code = information->si_code,
        .address = (uintptr_t)information->si_addr,
        .rip = (uintptr_t)registers[REG_RIP],
        .rsp = (uintptr_t)registers[REG_RSP],
        .trap = registers[REG_TRAPNO],
        .error = registers[REG_ERR],
        .rflags = registers[REG_EFL],
        .offset = registers[REG_RIP] - (long)trap_code,
    };
    // The selectors may be what was refused.
    registers[REG_CSGSFS] = 0x002b000000000033;
    registers[REG_RIP] = (greg_t)trap_landing;
    registers[REG_RSP] = (greg_t)trap_stack;
    registers[REG_EFL] = 0x202;
}

__attribute__((constructor)) static void trap_begin(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &trap_thread_pointer));
    MUST(sigaltstack(&alternate, NULL));
    for (int i = 0; i < 5; i++)
        guest_handle_info(signals[i], trap_entry, SA_ONSTACK);
}

// The address of instructions in this program.
#define CODE(...)                                                                                  \
    ({                                                                                             \
        void *code;                                                                                \
        __asm__(".pushsection .text.trap, \"ax\"\n trap_code_%=: " __VA_ARGS__                     \
                "\n ret\n .popsection\n"                                                           \
                "lea trap_code_%=(%%rip), %0"                                                      \
                : "=r"(code));                                                                     \
        code;                                                                                      \
    })

// Runs code; whether it was not refused.
static inline bool trap_run(const void *code, Registers registers)
{
    trap_before = registers;
    trap_code = (unsigned long)code;
    return trap_call(code);
}

// The error code of a page fault without what depends on the machine.
static inline void trap_show(const char *what)
{
    long error = trap_seen.trap == 14 ? trap_seen.error & 0x17 : trap_seen.error;
    const char *address = "elsewhere";
    if (trap_seen.address == 0)
        address = "none";
    else if (trap_seen.address == trap_seen.rip)
        address = "here";
    else if (trap_seen.address == trap_expected)
        address = "expected";
    printf("%s: %s code=%d address=%s trap=%ld error=%lx\n", what, sigabbrev_np(trap_seen.signal),
           trap_seen.code, address, trap_seen.trap, error);
}

static inline void trap_try(const char *what, const void *code, Registers registers)
{
    if (trap_run(code, registers))
        printf("%s: goes on\n", what);
    else
        trap_show(what);
}

#define TRY(what, text, ...) trap_try(what, CODE(text), (Registers){__VA_ARGS__})

#endif
