// A handler with siginfo: who sent the signal, how, and with what value.
#include "../guest.h"

static volatile siginfo_t got;

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    got = *information;
}

static void print(const char *how)
{
    printf("%s: signal=%d code=%d from self=%d value=%d\n", how, got.si_signo, got.si_code,
           got.si_pid == getpid() && got.si_uid == getuid(),
           got.si_code == SI_QUEUE ? got.si_value.sival_int : 0);
    got = (siginfo_t){0};
}

int main(void)
{
    guest_handle_info(SIGUSR1, on_signal, 0);
    guest_handle_info(SIGRTMIN, on_signal, 0);
    raise(SIGUSR1);
    print("raise");
    kill(getpid(), SIGUSR1);
    print("kill");
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    print("tgkill");
    SHOW(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77}));
    print("sigqueue");
    SHOW_CODE(pthread_sigqueue(pthread_self(), SIGRTMIN, (union sigval){.sival_int = 78}));
    print("pthread_sigqueue");
    // Any negative code may be sent; the kernel's own only to oneself.
    siginfo_t mine = {.si_signo = SIGUSR1, .si_code = -42};
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &mine));
    SHOW(got.si_code);
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &mine));
    SHOW(syscall(SYS_rt_sigqueueinfo, 1 << 30, SIGUSR1, &mine));
    SHOW(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, guest_bad_pointer()));
    return guest_status();
}
