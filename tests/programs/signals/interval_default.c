// exit: SIGALRM
// The default action of SIGALRM ends a program that only computes.
#include "../guest.h"
#include <sys/time.h>

int main(void)
{
    struct itimerval soon = {{0, 0}, {0, 10000}};
    puts("computing");
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
    for (volatile unsigned long i = 0;; i++)
        continue;
}
