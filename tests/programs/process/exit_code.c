// exit: 42
// exit(): handlers run in reverse order, buffers are written, only the low eight bits count.
#include "../guest.h"

static void first(void)
{
    puts("registered first");
}

static void second(void)
{
    puts("registered second");
}

int main(void)
{
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    atexit(first);
    atexit(second);
    fputs("no newline, still in the buffer ", stdout);
    exit(0x12345600 + 42);
}
