// exit: 7
// _exit: no handlers, no flushing; what was written by then is all there is.
#include "../guest.h"

static void never(void)
{
    write(1, "handler\n", 8);
}

int main(void)
{
    static char buffer[4096];
    atexit(never);
    puts("flushed");
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    fputs("lost", stdout);
    _exit(7);
}
