// exit: SIGTERM
// A signal that a program sends to itself kills it at once: nothing after the call happens.
#include "../guest.h"

int main(void)
{
    puts("before");
    kill(getpid(), SIGTERM);
    puts("after");
    return 0;
}
