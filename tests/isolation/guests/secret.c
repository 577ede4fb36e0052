// Hides what it is given wherever a program can: "hide TEXT NUMBER", the number of less than 47 bits in hexadecimal.
#include "server.h"

#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

static int set, pipes[2], pair[2], file;
static char *shared, *view;
static __thread char local[256];
static char global[256] = "nothing";

static void set_up(void) {
    srand(7);
    set = MUST(epoll_create1(0));
    MUST(pipe(pipes));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    file = MUST(memfd_create("file", 0));
    MUST(ftruncate(file, PAGE));
    view = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    shared = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static char secret[256];
static unsigned long number;

static void *wait_with_secret(void *unused) {
    strcpy(local, secret);
    prctl(PR_SET_NAME, secret);
    unsigned word = 0;
    for (;;)
        __asm__ volatile("mov %2, %%r12; mov %2, %%r13; movq %2, %%xmm9; syscall"  // futex(&word, FUTEX_WAIT, 0, 0)
                         : : "a"(202), "D"(&word), "r"(number), "S"(0), "d"(0) : "rcx", "r11", "r12", "r13", "xmm9", "memory");
    return 0;
}

static void in_memory(void) {
    strcpy(global, secret);
    strcpy(local, secret);
    strcpy(malloc(1000), secret);
    char *freed = malloc(1000);
    strcpy(freed, secret);
    free(freed);
    strcpy(alloca(3 * PAGE), secret);
    strcpy(shared, secret);
    strcpy(view, secret);
    strcpy(view + 1000, secret);
    strcpy((char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), secret);
    char *hidden = (char *)MUST(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    strcpy(hidden, secret);
    MUST(mprotect(hidden, PAGE, PROT_NONE));
    setenv("SECRET", secret, 1);
}

static void in_files(void) {
    size_t length = strlen(secret);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
    MUST(write(pipes[1], secret, length));
    MUST(write(pair[0], secret, length));
    MUST(write(MUST(eventfd(0, 0)), &number, 8));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pipes[0], &event));
    MUST(pwrite(MUST(memfd_create(secret, 0)), secret, length, 0));
    struct flock lock = {.l_type = F_WRLCK, .l_start = number, .l_len = 1};
    fcntl(file, F_SETLK, &lock);
    struct timeval time = {number, 0};
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

static void in_signals(void) {
    sigset_t queued;
    sigemptyset(&queued);
    sigaddset(&queued, SIGRTMIN);
    MUST(sigprocmask(SIG_BLOCK, &queued, 0));
    MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_ptr = (void *)number}));
    struct sigaction action = {.sa_handler = (void (*)(int))number};
    MUST(sigaction(SIGHUP, &action, 0));
    MUST(sigaltstack(&(stack_t){.ss_sp = (void *)(number & -16), .ss_size = 65536}, 0));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_ptr = (void *)number};
    timer_t timer;
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerval interval = {{number, 0}, {number, 0}};
    MUST(setitimer(ITIMER_REAL, &interval, 0));
}

static void in_attributes(void) {
    struct rlimit limit = {number, number};
    MUST(setrlimit(RLIMIT_CORE, &limit) == -1 ? 0 : 0);
    MUST(setrlimit(RLIMIT_FSIZE, &limit));
    MUST(prctl(PR_SET_NAME, secret));
    MUST(prctl(PR_SET_TIMERSLACK, number));
    MUST(syscall(SYS_set_tid_address, number));
    pthread_t thread;
    MUST(pthread_create(&thread, 0, wait_with_secret, 0) ? -1 : 0);
    struct timespec moment = {0, 1000000};
    nanosleep(&moment, 0);
}

// A fault whose details the stub's parent asks for leaves the registers in the pages that the two share.
char *trap, bytes[64] __attribute__((aligned(64)));
unsigned long value;
int end, wide;
static void mend(int signal, siginfo_t *info, void *context) { mprotect(trap, PAGE, PROT_READ | PROT_WRITE); }

static void hide(const char *text) {
    sscanf(text, "%255s %lx", secret, &number);
    in_memory();
    in_files();
    in_signals();
    in_attributes();
    struct sigaction action = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, 0));
    trap = (char *)MUST(mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memcpy(bytes, secret, sizeof bytes);
    value = number;
    end = connection;
    __builtin_cpu_init();
    wide = __builtin_cpu_supports("avx512f");
    write(connection, "done\n", 5);
    // Everything in registers; a fault; then the connection is closed and nothing else happens.
    __asm__ volatile(
        "movdqa bytes(%rip), %xmm0; movdqa %xmm0, %xmm1; movdqa %xmm0, %xmm7; movdqa %xmm0, %xmm15\n"
        "cmpl $0, wide(%rip); je 1f; vmovdqa64 bytes(%rip), %zmm17; vmovdqa64 %zmm17, %zmm31\n"
        "1: fildll value(%rip)\n"
        "mov value(%rip), %rbx; mov %rbx, %r8; mov %rbx, %r9; mov %rbx, %r12; mov %rbx, %r13; mov %rbx, %r14\n"
        "mov %rbx, %r15; mov %rbx, %rbp; mov %rbx, %rsi; mov %rbx, %rdx; mov %rbx, %r10\n"
        "mov trap(%rip), %rax; movb $1, (%rax)\n"
        "mov end(%rip), %edi; mov $3, %eax; syscall\n"
        "2: mov $34, %eax; syscall; jmp 2b\n");
}

static void draw(const char *text) {
    unsigned char fresh[16], *fixed = (unsigned char *)getauxval(AT_RANDOM);
    MUST(getrandom(fresh, sizeof fresh, 0));
    char *out = answer;
    for (int i = 0; i < 16; i++) out += sprintf(out, "%02x", fixed[i]);
    *out++ = ' ';
    for (int i = 0; i < 16; i++) out += sprintf(out, "%02x", fresh[i]);
    sprintf(out, " %d ", rand());
}

static const struct action actions[] = {{"hide", hide}, {"draw", draw}, {0}};
