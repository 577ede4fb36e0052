// The trap flag beside another thread and a timer: however often the processor is taken away behind an instruction
// that the host answers, each such instruction ends with a SIGTRAP.
#include "trap.h"
#include <sys/time.h>

enum { ROUNDS = 20, QUESTIONS = 16 };
static long stepped;
static atomic_int over;

static void on_step(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number, (void)information;
    const unsigned char *at = (void *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    // CPUID is 0f a2.
    stepped += at[-2] == 0x0f && at[-1] == 0xa2;
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
}

static void *spin(void *unused)
{
    (void)unused;
    while (!atomic_load(&over))
        continue;
    return NULL;
}

int main(void)
{
    guest_handle_info(SIGTRAP, on_step, SA_ONSTACK);
    guest_handle(SIGALRM, on_alarm, SA_RESTART);
    struct itimerval often = {{0, 1000}, {0, 1000}};
    SHOW_CODE(setitimer(ITIMER_REAL, &often, NULL));
    pthread_t beside = guest_thread(spin, NULL);
    long rounds = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const void *code = CODE("pushf\n orl $0x100, (%%rsp)\n popf\n .rept 16\n cpuid\n .endr\n"
                                "pushf\n andl $~0x100, (%%rsp)\n popf\n");
        rounds += trap_run(code, (Registers){.rax = 0});
    }
    atomic_store(&over, 1);
    pthread_join(beside, NULL);
    printf("%ld rounds, %ld steps missing\n", rounds, (long)ROUNDS * QUESTIONS - stepped);
    return guest_status();
}
