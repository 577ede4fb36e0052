// Requests that go where nothing of theirs is: around the address space, into the platform's own code, into noise.
#include "server.h"

#include <sched.h>
#include <setjmp.h>
#include <sys/random.h>
#include <sys/time.h>
#include <ucontext.h>

enum { KINDS = 6 };
#define PATTERN 0x7172737475767778ul

static sigjmp_buf back;
// The last exception, and the address that is being stepped into.
static volatile long trap, error;
static volatile unsigned long target;
static volatile int stepping;
static char *scratch, *noise;
static unsigned long state;

static unsigned long draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1d;
}

// --- catching what a probe raises

__attribute__((used)) static void on_signal(int number, siginfo_t *information, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    trap = registers[REG_TRAPNO];
    error = registers[REG_ERR];
    if (number == SIGTRAP && stepping && target == registers[REG_RIP]) {
        // The jump is done; now what it leads to.
        stepping = 0;
        return;
    }
    siglongjmp(back, 1);
}

// Ordinary flags and the thread's own data, then C: a probe may have left any.
void on_signal_entry(int, siginfo_t *, void *);
__attribute__((used)) static unsigned long thread_pointer;
__asm__("on_signal_entry:\n"
        "push $0x202\n popf\n push %rdi\n push %rsi\n push %rdx\n"
        "mov $158, %eax\n mov $0x1002, %edi\n mov thread_pointer(%rip), %rsi\n syscall\n"
        "pop %rdx\n pop %rsi\n pop %rdi\n jmp on_signal\n");

static void catch_all(void) {
    static char stack[65536];
    int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    MUST(syscall(SYS_arch_prctl, 0x1003, &thread_pointer));
    MUST(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0));
    for (int i = 0; i < 6; i++) {
        struct sigaction action = {.sa_sigaction = on_signal_entry, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        MUST(sigaction(signals[i], &action, 0));
    }
}

// What comes to `landing` comes back, too.
char *landing_stack;
extern const char landing[];
__asm__("landing: push $0x202; popf; mov landing_stack(%rip), %rsp; jmp come_back");
__attribute__((used)) static void come_back(void) { siglongjmp(back, 1); }

static void set_up(void) {
    int all = PROT_READ | PROT_WRITE | PROT_EXEC;
    // Memory for registers to point to, in the middle of it, and code.
    scratch = (char *)MUST(mmap(0, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + 32 * PAGE;
    noise = (char *)MUST(mmap(0, 4 * PAGE, all, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

// --- around the address space

static struct span { unsigned long start, end; } own[256];
static int spans;

static void find_own(void) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    MUST(maps ? 0 : -1);
    for (spans = 0; spans < 256 && fgets(line, sizeof line, maps); spans++) {
        sscanf(line, "%lx-%lx", &own[spans].start, &own[spans].end);
    }
    fclose(maps);
}

static int is_own(unsigned long at) {
    for (int i = 0; i < spans; i++) {
        if (at >= own[i].start && at < own[i].end) return 1;
    }
    return 0;
}

static int pipes[2];
static long probes;

static void found(const char *what, unsigned long at) {
    if (strlen(answer) < sizeof answer - 64) sprintf(answer + strlen(answer), "%s:%lx ", what, at);
}

// Reads, writes and runs a byte, and has the kernel read and write it: each is refused, or told.
static void probe(unsigned long at) {
    char byte = 0;
    if (is_own(at)) return;
    probes++;
    if (sigsetjmp(back, 0) == 0) {
        byte = *(volatile char *)at;
        found("read", at);
    }
    if (sigsetjmp(back, 0) == 0) {
        *(volatile char *)at = byte;
        found("write", at);
    }
    target = at;
    stepping = 1;
    if (sigsetjmp(back, 0) == 0) {
        // With the trap flag, for one instruction at most; should that be a system call, it returns to `landing`.
        __asm__ volatile("lea -8(%%rsp), %%rdx; mov %%rdx, landing_stack(%%rip); pushf; orl $0x100, (%%rsp); popf; jmp *%0"
                         : : "r"(at), "c"(landing) : "memory", "rdx");
    } else if (trap != 13 && !(trap == 14 && error & 0x10)) {
        found("run", at);
    }
    stepping = 0;
    if (write(pipes[1], (void *)at, 1) == 1 && read(pipes[0], (void *)at, 1) == 1) found("call", at);
    while (read(pipes[0], &byte, 1) == 1) {}
}

// The vsyscall page may be run, natively too.
static int is_vsyscall(unsigned long at) { return at >> 12 == 0xffffffffff600; }

static void walk(const char *text) {
    unsigned long low, high, step;
    catch_all();
    find_own();
    MUST(pipe2(pipes, O_NONBLOCK));
    while (sscanf(text, "%lx-%lx/%lx", &low, &high, &step) == 3) {
        for (unsigned long at = low; at >= low && at < high; at += step) {
            if (!is_vsyscall(at)) probe(at);
        }
        text = strchr(text, ' ') ? strchr(text, ' ') + 1 : "";
    }
    sprintf(answer + strlen(answer), "%ld ", probes);
}

// What is before and behind each of its own mappings.
static void walk_borders(const char *text) {
    catch_all();
    find_own();
    MUST(pipe2(pipes, O_NONBLOCK));
    for (int i = 0; i < spans; i++) {
        if (is_vsyscall(own[i].start)) continue;
        probe(own[i].start - 1);
        probe(own[i].start - PAGE);
        probe(own[i].end);
        probe(own[i].end + PAGE - 1);
    }
    sprintf(answer + strlen(answer), "%ld ", probes);
}

static void walk_random(const char *text) {
    catch_all();
    find_own();
    MUST(pipe2(pipes, O_NONBLOCK));
    sscanf(text, "%lu", &state);
    for (int i = 0; i < 300; i++) probe(draw() >> (17 + draw() % 30));
    sprintf(answer + strlen(answer), "%ld ", probes);
}

// Nothing can be mapped where the platform may have its pages.
static void map_over(const char *text) {
    unsigned long low, high;
    sscanf(text, "%lx-%lx", &low, &high);
    for (unsigned long at = low; at < high; at += PAGE) {
        void *page = mmap((void *)at, PAGE, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (page != MAP_FAILED) found("mapped", at);
        if (mprotect((void *)at, PAGE, 7) == 0) found("protected", at);
    }
}

// --- into the platform's code, and into noise

unsigned long jump_registers[16], jump_target, jump_flags;

// Jumps with those registers: rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15.
void jump(void);
__asm__("jump:\n"
        "mov %rsp, landing_stack(%rip)\n"
        "push jump_flags(%rip)\n popf\n"
        "mov jump_registers(%rip), %rax\n mov jump_registers+8(%rip), %rbx\n mov jump_registers+16(%rip), %rcx\n"
        "mov jump_registers+24(%rip), %rdx\n mov jump_registers+32(%rip), %rsi\n mov jump_registers+40(%rip), %rdi\n"
        "mov jump_registers+48(%rip), %rbp\n mov jump_registers+56(%rip), %rsp\n mov jump_registers+64(%rip), %r8\n"
        "mov jump_registers+72(%rip), %r9\n mov jump_registers+80(%rip), %r10\n mov jump_registers+88(%rip), %r11\n"
        "mov jump_registers+96(%rip), %r12\n mov jump_registers+104(%rip), %r13\n mov jump_registers+112(%rip), %r14\n"
        "mov jump_registers+120(%rip), %r15\n"
        "jmp *jump_target(%rip)\n");
// Registers of a kind: zero, own memory, no addresses, a system call, the platform's own pages, noise.
static void choose(int kind, unsigned long target) {
    for (int i = 0; i < 16; i++) {
        unsigned long own = (unsigned long)scratch + i * 64, values[] = {
            0, own, 0x8000000000000000 >> i | i, own, (target & -PAGE) + PAGE + i * 64, draw() >> draw() % 64,
        };
        jump_registers[i] = values[kind];
    }
    if (kind == 3) {
        jump_registers[0] = SYS_getpid;
        jump_registers[2] = (unsigned long)landing; // rcx: where a system call returns to
        jump_registers[11] = draw(); // r11: the flags then
    }
    jump_target = target;
    jump_flags = draw() & 0x40cd5 | 0x202;
}

static void jump_once(const char *text) {
    unsigned long target;
    int kind;
    sscanf(text, "%lx %d %lu", &target, &kind, &state);
    choose(kind, target);
    if (sigsetjmp(back, 0) == 0) jump();
    strcpy(answer, "back ");
}

static void interrupt_loops(int microseconds) {
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){{0, microseconds}, {0, microseconds}}, 0));
}

// Into each byte of a range, with all kinds of registers, and back again.
static void jump_around(const char *text) {
    unsigned long start, end;
    sscanf(text, "%lx-%lx %lu", &start, &end, &state);
    catch_all();
    interrupt_loops(20000);
    for (volatile unsigned long at = start; at < end; at++) {
        for (volatile int kind = 0; kind < KINDS; kind++) {
            choose(kind, at);
            if (sigsetjmp(back, 0) == 0) jump();
        }
    }
}

// Runs random bytes from many places among them.
static void run_noise(const char *text) {
    volatile int attempts;
    sscanf(text, "%lu %d", &state, &attempts);
    catch_all();
    interrupt_loops(2000);
    while (attempts-- > 0) {
        for (int at = 0; at < PAGE; at += 8) *(unsigned long *)(noise + at) = draw();
        choose(draw() % KINDS, (unsigned long)noise + draw() % PAGE);
        // Registers of noise seldom make a system call that waits for ever.
        if (sigsetjmp(back, 0) == 0) jump();
    }
    strcpy(answer, "alive ");
}

// Writes over all that is mapped and may be written, itself included.
static void scribble(const char *text) {
    sscanf(text, "%lu", &state);
    find_own();
    for (int i = 0; i < 3000; i++) {
        struct span *span = &own[draw() % spans];
        unsigned long at = span->start + draw() % (span->end - span->start), length = 1ul << draw() % 13;
        // The kernel says whether it may be written, without a fault.
        if (getrandom((void *)at, length < span->end - at ? length : span->end - at, 0) < 1) continue;
        *(volatile unsigned char *)at = draw();
    }
    strcpy(answer, "alive ");
}

static void unmap_all(const char *end) { munmap(0, strtoul(end, 0, 16)); }

static void protect_all(const char *protection) {
    find_own();
    for (int i = 0; i < spans; i++) mprotect((void *)own[i].start, own[i].end - own[i].start, atoi(protection));
}

// --- what is left behind

static void *take_turns(void *unused) {
    for (;;) sched_yield();
    return 0;
}

// Has registers of a pattern while other threads run, handlers begin and pages fault.
static void leave_pattern(const char *text) {
    pthread_t thread;
    catch_all();
    MUST(pthread_create(&thread, 0, take_turns, 0) ? -1 : 0);
    for (volatile int round = 0; round < 20; round++) {
        if (sigsetjmp(back, 0)) continue;
        __asm__ volatile(
            "movq %0, %%xmm0\n punpcklqdq %%xmm0, %%xmm0\n"
            ".irp n,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n movaps %%xmm0, %%xmm\\n\n .endr\n"
            ".irp r,rcx,rdx,rsi,rdi,r8,r9,r10,r12,r13,r14,r15\n mov %0, %%\\r\n .endr\n"
            "mov $24, %%eax\n syscall\n mov $24, %%eax\n syscall\n mov %0, %%rax\n ud2"
            : : "b"(PATTERN) : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
              "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
              "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    }
}

// Looks for the pattern wherever it may read in a range.
static void look_for_pattern(const char *text) {
    unsigned long start, end;
    // Counted before anything of this request is there: the pattern is computed.
    volatile unsigned long half = PATTERN ^ 0x5555555555555555ul;
    volatile long hits = 0, pages = 0;
    sscanf(text, "%lx-%lx", &start, &end);
    catch_all();
    for (volatile unsigned long page = start; page < end; page += PAGE) {
        if (sigsetjmp(back, 0)) continue;
        for (volatile int at = 0; at <= PAGE - 8; at++) {
            hits += *(volatile unsigned long *)(page + at) == (half ^ 0x5555555555555555ul);
        }
        pages++;
    }
    sprintf(answer, "%ld %ld ", pages, hits);
}

static void fine(const char *text) { strcpy(answer, "fine "); }

static const struct action actions[] = {
    {"walk", walk}, {"walk-borders", walk_borders}, {"walk-random", walk_random}, {"map-over", map_over},
    {"jump", jump_once}, {"jump-around", jump_around}, {"noise", run_noise}, {"scribble", scribble},
    {"unmap-all", unmap_all}, {"protect-all", protect_all}, {"leave", leave_pattern}, {"look", look_for_pattern}, {"fine", fine}, {0},
};
