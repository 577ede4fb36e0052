// exit: SIGSEGV
// A fault kills even when SIGSEGV is ignored: the instruction cannot go on.
#include "../guest.h"

int main(void)
{
    signal(SIGSEGV, SIG_IGN);
    // Sent by a program, it is ignored.
    raise(SIGSEGV);
    puts("before");
    *(volatile char *)guest_bad_pointer() = 1;
    puts("after");
    return 0;
}
