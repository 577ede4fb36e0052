// exit: SIGSEGV
// A fault inside the handler of the same signal is not delivered again: it kills.
#include "../guest.h"

static void on_fault(int signal_number)
{
    (void)signal_number;
    puts("handler");
    *(volatile char *)guest_bad_pointer() = 1;
}

int main(void)
{
    guest_handle(SIGSEGV, on_fault, 0);
    *(volatile char *)guest_bad_pointer() = 1;
    return 0;
}
