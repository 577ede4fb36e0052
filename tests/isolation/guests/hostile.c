// Requests that attack what runs them: the stub's code and pages, the CPU's modes, the kernel's patience.
#include "server.h"

#include <setjmp.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>

static void set_up(void) {}

// --- the CPU

static void null(const char *text) { *(volatile char *)0 = 1; }
static void aborted(const char *text) { abort(); }
static void undefined(const char *text) { __asm__ volatile("ud2"); }
static void breakpoint(const char *text) { __asm__ volatile("int3"); }
static void icebp(const char *text) { __asm__ volatile(".byte 0xf1"); }
static void halt(const char *text) { __asm__ volatile("hlt"); }
static void no_interrupts(const char *text) { __asm__ volatile("cli"); }
static void port(const char *text) { __asm__ volatile("in $0x60, %%al" : : : "eax"); }
static void model_register(const char *text) { __asm__ volatile("rdmsr" : : "c"(0x10) : "eax", "edx"); }
static void control_register(const char *text) { __asm__ volatile("mov %%cr3, %%rax" : : : "rax"); }
static void divide(const char *text) { __asm__ volatile("xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx"); }
static void interrupt_80(const char *text) { __asm__ volatile("int $0x80" : : "a"(20)); }
static void interrupt_80_in_disguise(const char *text) {
    // As a 64-bit call would look: rcx is where it returns.
    __asm__ volatile("lea 1f(%%rip), %%rcx; int $0x80; 1:" : : "a"(1), "D"(1) : "rcx");
}
static void sysenter(const char *text) { __asm__ volatile("mov %%rsp, %%rbp; sysenter" : : "a"(20) : "rbp"); }
static void unaligned(const char *text) {
    __asm__ volatile("pushf; orl $0x40000, (%%rsp); popf; mov %%eax, 1(%%rsp)" : : : "memory");
}
static void single_step(const char *text) { __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop" : : : "memory"); }
static void single_step_call(const char *text) {
    __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; syscall" : : "a"(39) : "rcx", "r11", "memory");
}
static void far_away(const char *text) { __asm__ volatile("jmp *%0" : : "r"(0x8000000000000000ul)); }
static void kernel_code(const char *text) { __asm__ volatile("jmp *%0" : : "r"(0xffffffff81000000ul)); }
static void end_of_space(const char *text) { __asm__ volatile("jmp *%0" : : "r"(0x7ffffffffffeul)); }
static void no_stack(const char *text) { __asm__ volatile("xor %%esp, %%esp; push %%rax" : : : "memory"); }
static void bad_stack(const char *text) { __asm__ volatile("mov %0, %%rsp; push %%rax" : : "r"(0x8000000000000000ul)); }
static void kernel_stack(const char *text) {
    __asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; push %%rax" : : "r"(0xffff888000000000ul));
}
static void bad_return(const char *text) {
    __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r"(0xdead0000ul));  // rt_sigreturn
}
static void forged_return(const char *text) {
    static char frame[PAGE] __attribute__((aligned(64)));
    memset(frame, 0xff, sizeof frame);
    __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r"(frame + 64));
}

static void no_segments(const char *text) {
    // Null selectors with privilege levels that the host's ptrace refuses.
    __asm__ volatile("mov $1, %%eax; mov %%eax, %%ds; mov $2, %%eax; mov %%eax, %%es; mov %%eax, %%gs" : : : "eax");
    MUST(getppid());
}

static void kernel_base(const char *text) {
    __asm__ volatile("wrgsbase %0" : : "r"(0xffff888000000000ul));
    MUST(getppid());
}

static void kernel_thread_pointer(const char *text) {
    __asm__ volatile("wrfsbase %0; mov $110, %%eax; syscall" : : "r"(0xffffffff81000000ul) : "rax", "rcx", "r11");
    close(connection);
}

// 32-bit code below 4 GiB: int $0x80; then sysenter
static void short_code(const char *text) {
    static const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4};
    char *low = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
                                  -1, 0));
    memcpy(low, code, sizeof code);
    if (*text) memcpy(low + 5, "\x0f\x34", 2);
    struct { unsigned offset; unsigned short selector; } __attribute__((packed)) target = {(uintptr_t)low, 0x23};
    __asm__ volatile("lea 2048(%1), %%rsp; mov %%rsp, %%rbp; ljmp *%0" : : "m"(target), "r"(low) : "rbp", "memory");
}

static void vsyscall(const char *text) {
    struct timeval time = {0, 0};
    long (*gettimeofday_page)(struct timeval *, void *) = (void *)0xffffffffff600000;
    long (*time_page)(long *) = (void *)0xffffffffff600400;
    MUST(gettimeofday_page(&time, 0));
    sprintf(answer, "%d ", time.tv_sec > 1600000000 && time_page(0) >= time.tv_sec);
}

static void vsyscall_inside(const char *text) { ((void (*)(void))0xffffffffff600003)(); }

// --- the stub

// Runs the stub's own code from an address, with registers that its parent would set: calls or copies in a table.
static void run_resident(const char *text) {
    static unsigned long table[64];
    static char path[1000];
    unsigned long code, own;
    sscanf(text, "%lx %lx %999s", &code, &own, path);
    // open(path, O_CREAT | O_RDWR, 0666); write(3, table, 8)
    unsigned long calls[16] = {2, (unsigned long)path, 0102, 0666, 0, 0, 0, 0, 1, 3, (long)table, 8};
    memcpy(table, calls, sizeof calls);
    if (own) memcpy((void *)own, calls, sizeof calls);
    __asm__ volatile(
        "mov $2, %%ebp; mov $2, %%eax; mov %3, %%rdi; mov $0102, %%esi; mov $0666, %%edx\n"
        "jmp *%0" : : "r"(code), "b"(own ? own : (unsigned long)table), "r"(0), "r"(table[1]) : "rax", "rdi", "rsi", "rdx");
}

// Writes over all of the stub's shared pages.
static void write_shared_pages(const char *text) {
    unsigned long start, end;
    char secret[100];
    sscanf(text, "%lx %lx %99s", &start, &end, secret);
    for (unsigned long at = start; at + sizeof secret < end; at += 64) strcpy((char *)at, secret);
}

// Every call that could move, change or cover the stub's pages is refused.
static void change_reserved(const char *text) {
    unsigned long start, end;
    sscanf(text, "%lx %lx", &start, &end);
    char *own = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (unsigned long at = start; at < end; at += PAGE) {
        void *page = (void *)at;
        long results[] = {
            munmap(page, PAGE), mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), mprotect(page, PAGE, PROT_NONE),
            (long)mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            (long)mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
            (long)mremap(page, PAGE, 2 * PAGE, MREMAP_MAYMOVE),
            (long)mremap(own, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page), madvise(page, PAGE, MADV_DONTNEED),
            msync(page, PAGE, MS_SYNC), mlock(page, PAGE), brk(page),
        };
        for (int i = 0; i < sizeof results / sizeof *results; i++) {
            if (results[i] != -1) sprintf(answer, "call %d at %lx: %lx ", i, at, results[i]);
        }
    }
    MUST(munmap((void *)0, 1ul << 47) == -1 && errno == EINVAL ? 0 : -1);
}

// Has the kernel read and write the stub's pages on the guest's behalf.
static void calls_into_reserved(const char *text) {
    unsigned long start, end;
    int pipes[2];
    char byte[64] = "";
    sscanf(text, "%lx %lx", &start, &end);
    MUST(pipe(pipes));
    for (unsigned long at = start; at < end; at += PAGE) {
        if (write(pipes[1], (void *)at, 16) == 16) {
            read(pipes[0], (void *)at, 16);
            fcntl(pipes[0], F_SETFL, O_NONBLOCK);
            read(pipes[0], byte, 16);
        }
        struct iovec vector = {(void *)at, 1 << 20};
        writev(pipes[1], &vector, 1) > 0 && readv(pipes[0], &vector, 1);
    }
}

// --- the kernel's patience

static void spin(const char *text) { for (;;) {} }
static void spin_calls(const char *text) { for (;;) getppid(); }
static void spin_blocked(const char *text) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, 0);
    for (;;) {}
}
static void sleep_for_ever(const char *text) { for (;;) pause(); }

static volatile long handled;
static void again(int signal) { handled++; raise(signal); }
static void flood(const char *text) {
    signal(SIGUSR1, again);
    raise(SIGUSR1);
    for (;;) {}
}
static void flood_faults(const char *text) {
    // A handler that returns to the fault.
    signal(SIGSEGV, (void (*)(int))getppid);
    *(volatile char *)0 = 1;
}
static void flood_without_frames(const char *text) {
    // The handler of the division finds no stack; that of the fault which this is finds one, and returns to the division.
    static char alternate[1 << 16];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = (void (*)(int))getppid, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, 0);
    sigaction(SIGSEGV, &action, 0);
    signal(SIGFPE, action.sa_handler);
    char *nowhere = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("mov %0, %%rsp; xor %%ecx, %%ecx; div %%ecx" : : "r"(nowhere) : "memory", "rcx", "rax", "rdx");
}
static void flood_queue(const char *text) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, 0);
    long sent = 0;
    while (sent < 200000 && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1}) == 0) sent++;
    sprintf(answer, "%d ", sent < 100000 && errno == EAGAIN);
}
static void kill_itself(const char *text) { kill(getpid(), SIGKILL); }
static void exit_quietly(const char *text) { _exit(7); }
static int recurse(int depth) {
    volatile char frame[1000];
    frame[depth % 1000] = 1;
    return recurse(depth + 1) + frame[0];
}
static void recurse_for_ever(const char *text) { sprintf(answer, "%d", recurse(1)); }

static void *spin_thread(void *unused) {
    for (;;) {}
    return 0;
}
static void *idle_thread(void *unused) {
    for (;;) pause();
    return 0;
}
static void threads(const char *text) {
    pthread_attr_t small;
    pthread_t thread;
    int made = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    while (made < 5000 && pthread_create(&thread, &small, *text == 's' ? spin_thread : idle_thread, 0) == 0) made++;
    sprintf(answer, "%d ", made > 100 && made < 1024);
}
static void fork_bomb(const char *text) {
    int made = 0;
    for (int i = 0; i < 1000; i++) {
        pid_t child = fork();
        if (child == 0) {
            close_range(3, ~0u, 0); // the connection too, so that its end is the parent's to tell
            for (;;)
                if (fork() < 0) pause();
        }
        made += child > 0;
    }
    sprintf(answer, "%d ", made > 0 && made < 64);
}

// Each of its processes stays within the limit, all of them together do not.
static void fork_and_touch(const char *text) {
    for (int i = 0; i < 32 && fork() == 0; i++)
        memset(mmap(0, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 8 << 20);
    for (;;) pause();
}

static void touch(const char *text) {
    for (;;) {
        char *more = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (more == MAP_FAILED) for (;;) {}
        for (long at = 0; at < 64 << 20; at += PAGE) more[at] = 1;
    }
}
static void read_reserve(const char *text) {
    // Of what is only read, the page tables take memory.
    volatile char *more = (char *)MUST(mmap(0, 1l << 44, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (long at = 0; at < 1l << 44; at += 2 << 20) more[at];
}
static void read_zeroes(const char *text) {
    // One call that writes two gigabytes to memory.
    char *more = (char *)MUST(mmap(0, 2l << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int zero = MUST(open("/dev/zero", O_RDONLY));
    for (;;) read(zero, more, 2l << 30);
}
static void fill_file(const char *text) {
    static char bytes[1 << 20];
    int file = MUST(memfd_create("full", 0));
    for (;;) write(file, bytes, sizeof bytes);
}
static void fill_file_at_once(const char *text) {
    char *more = (char *)MUST(mmap(0, 2l << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    int file = MUST(memfd_create("full", 0));
    for (;;) write(file, more, 2l << 30);
}
static void fill_file_view(const char *text) {
    int file = MUST(memfd_create("full", 0));
    MUST(ftruncate(file, 4l << 30));
    char *view = (char *)MUST(mmap(0, 4l << 30, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    for (long at = 0; at < 4l << 30; at += PAGE) view[at] = 1;
}
static void allocate_file(const char *text) {
    int file = MUST(memfd_create("full", 0));
    fallocate(file, 0, 0, 1l << 40);
    for (;;) pause();
}
static void map_storm(const char *text) {
    // As many mappings as there can be: most of them by mprotect, which makes two with each call.
    enum { LENGTH = 30000 * 2 * PAGE };
    char *range = (char *)MUST(mmap(0, LENGTH + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (long at = 0; at < LENGTH; at += 2 * PAGE)
        if (mprotect(range + at, PAGE, PROT_READ | PROT_WRITE)) break;
    for (long made = 0;; made++) {
        int protection = made % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
        if (mmap(0, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
    }
    int refused = errno == ENOMEM;
    int split = mprotect(range + LENGTH, PAGE, PROT_READ);
    sprintf(answer, "%d %d ", refused, split == -1 && errno == ENOMEM);
}
static void break_storm(const char *text) {
    for (;;) {
        char *end = sbrk(1 << 20);
        if (end == (char *)-1) for (;;) {}
        for (long at = 0; at < 1 << 20; at += PAGE) end[at] = 1;
    }
}
static void files(const char *text) {
    int opened = 0;
    for (int i = 0; i < 10000; i++) opened += open("/proc/self/exe", O_RDONLY) >= 0;
    sprintf(answer, "%d ", opened > 1000 && opened < 1024);
}
static void mapped_files(const char *text) {
    // Files that stay open on the host because they are mapped.
    long mapped = 0;
    for (int i = 0; i < 6000; i++) {
        int file = open("/proc/self/exe", O_RDONLY);
        if (file >= 0 && mmap(0, PAGE, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED) mapped++;
        close(file);
    }
    sprintf(answer, "%d ", mapped < 5000);
}
static void output(const char *text) {
    static char line[65536];
    memset(line, 'x', sizeof line);
    for (;;) write(1, line, sizeof line);
}
static void fill_pipes(const char *text) {
    static char bytes[1 << 20];
    long filled = 0;
    int pipes[2];
    while (pipe2(pipes, O_NONBLOCK) == 0) {
        fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
        for (long put; (put = write(pipes[1], bytes, sizeof bytes)) > 0;) filled += put;
    }
    sprintf(answer, "%d ", filled < 100l << 20);
}
static void fill_pairs(const char *text) {
    static char bytes[1 << 20];
    long filled = 0;
    int pair[2], size = 1 << 20;
    while (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
        for (int end = 0; end < 2; end++) {
            setsockopt(pair[end], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
            for (long put; (put = write(pair[end], bytes, sizeof bytes)) > 0;) filled += put;
        }
    }
    sprintf(answer, "%d ", filled < 100l << 20);
}
static void answer_much(const char *text) {
    static char bytes[1 << 20];
    for (;;) write(connection, bytes, sizeof bytes);
}
static void fine(const char *text) { strcpy(answer, "fine "); }

static const struct action actions[] = {
    {"null", null}, {"abort", aborted}, {"ud2", undefined}, {"int3", breakpoint}, {"icebp", icebp}, {"hlt", halt},
    {"cli", no_interrupts}, {"in", port}, {"rdmsr", model_register}, {"cr3", control_register}, {"divide", divide},
    {"int80", interrupt_80}, {"int80-disguised", interrupt_80_in_disguise}, {"sysenter", sysenter},
    {"unaligned", unaligned}, {"single-step", single_step}, {"single-step-call", single_step_call},
    {"far-away", far_away}, {"kernel-code", kernel_code}, {"end-of-space", end_of_space}, {"no-stack", no_stack},
    {"bad-stack", bad_stack}, {"kernel-stack", kernel_stack}, {"bad-return", bad_return},
    {"forged-return", forged_return}, {"no-segments", no_segments}, {"kernel-base", kernel_base},
    {"kernel-thread-pointer", kernel_thread_pointer}, {"short-code", short_code}, {"vsyscall", vsyscall},
    {"vsyscall-inside", vsyscall_inside}, {"resident", run_resident}, {"write-shared-pages", write_shared_pages},
    {"change-reserved", change_reserved}, {"calls-into-reserved", calls_into_reserved}, {"spin", spin},
    {"spin-calls", spin_calls}, {"spin-blocked", spin_blocked}, {"sleep", sleep_for_ever}, {"flood", flood},
    {"flood-faults", flood_faults}, {"flood-without-frames", flood_without_frames}, {"flood-queue", flood_queue}, {"kill", kill_itself}, {"exit", exit_quietly},
    {"recurse", recurse_for_ever}, {"threads", threads}, {"fork", fork_bomb}, {"fork-and-touch", fork_and_touch}, {"touch", touch},
    {"read-reserve", read_reserve}, {"read-zeroes", read_zeroes}, {"fill-file", fill_file}, {"fill-file-at-once", fill_file_at_once},
    {"fill-file-view", fill_file_view}, {"allocate-file", allocate_file}, {"map-storm", map_storm},
    {"break-storm", break_storm}, {"files", files}, {"mapped-files", mapped_files},
    {"output", output}, {"fill-pipes", fill_pipes}, {"fill-pairs", fill_pairs}, {"answer-much", answer_much},
    {"fine", fine}, {0},
};
