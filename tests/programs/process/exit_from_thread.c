// exit: 5
// exit in a thread ends the whole program, whatever main is blocked in.
#include "../guest.h"

static void *leave(void *unused)
{
    (void)unused;
    puts("leaving");
    exit(5);
}

int main(void)
{
    int ends[2];
    char byte;
    MUST(pipe(ends));
    guest_thread(leave, NULL);
    MUST(read(ends[0], &byte, 1));
    puts("main went on");
    return 6;
}
