// exit: SIGPIPE
// Writing to a pipe that nobody reads kills the program.
#include "../guest.h"

int main(void)
{
    int ends[2];
    MUST(pipe(ends));
    MUST(close(ends[0]));
    puts("before");
    write(ends[1], "x", 1);
    puts("after");
    return 0;
}
