// The signal frame: alignment, the red zone left alone, the mask in it taken back on return.
#include "../guest.h"
#include <ucontext.h>

static volatile bool aligned, masked_before;
static volatile unsigned long distance;

static void on_signal(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)information;
    ucontext_t *state = context;
    aligned = (uintptr_t)__builtin_frame_address(0) % 16 == 0;
    distance = (unsigned long)state->uc_mcontext.gregs[REG_RSP] - (unsigned long)context;
    masked_before = sigismember(&state->uc_sigmask, SIGUSR1);
    // The mask to go back to is the frame's, so the handler can choose it.
    sigaddset(&state->uc_sigmask, SIGUSR2);
}

int main(void)
{
    sigset_t mask;
    guest_handle_info(SIGUSR1, on_signal, 0);
    // The 128 bytes below the stack pointer belong to the function that was interrupted.
    long number = SYS_tgkill, kept;
    __asm__ volatile("movq $4321, -8(%%rsp)\n movq $1, -128(%%rsp)\n syscall\n"
                     "mov -8(%%rsp), %1\n add -128(%%rsp), %1\n"
                     : "+a"(number), "=&r"(kept)
                     : "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)
                     : "rcx", "r11", "memory");
    SHOW(kept);
    // With a pushed frame pointer, the frame address is 16-byte aligned.
    CHECK(aligned);
    CHECK(distance >= 128 && distance < 65536);
    CHECK(!masked_before);
    MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
    CHECK(sigismember(&mask, SIGUSR2) && !sigismember(&mask, SIGUSR1));
    return guest_status();
}
