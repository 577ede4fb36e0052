// Many processes one after the other, and some at once: ids and descriptors come back.
#include "../guest.h"
#include <sys/wait.h>

int main(void)
{
    int status, good = 0;
    for (int i = 0; i < 100; i++) {
        pid_t child = MUST(fork());
        if (child == 0)
            _exit(i & 0x7f);
        good += waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (i & 0x7f);
    }
    printf("%d of 100\n", good);
    int ends[2];
    MUST(pipe(ends));
    for (int i = 0; i < 30; i++)
        if (MUST(fork()) == 0) {
            char byte;
            close(ends[1]);
            read(ends[0], &byte, 1);
            _exit(1);
        }
    close(ends[1]);
    for (good = 0; wait(&status) > 0;)
        good += WEXITSTATUS(status);
    printf("%d of 30\n", good);
    // A tree of them.
    int depth = 0;
    pid_t top = getpid(), child;
    while (depth < 12 && (child = MUST(fork())) == 0)
        depth++;
    if (depth < 12) {
        MUST(waitpid(child, &status, 0));
        depth = WEXITSTATUS(status);
    }
    if (getpid() != top)
        _exit(depth);
    printf("depth %d\n", depth);
    return guest_status();
}
