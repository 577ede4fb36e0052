// build: static
// args: word
// A statically linked program: no interpreter, the same services.
#include "../guest.h"
#include <sys/auxv.h>

static __thread int local = 3;

static void *thread(void *argument)
{
    local += *(int *)argument;
    return (void *)(long)local;
}

int main(int argc, char **argv)
{
    void *result;
    int four = 4;
    printf("%d %s\n", argc, argv[1]);
    SHOW(getauxval(AT_BASE));
    pthread_join(guest_thread(thread, &four), &result);
    SHOW((long)result);
    SHOW(local);
    char *memory = malloc(1 << 20);
    memset(memory, 'x', 1 << 20);
    CHECK(memory[(1 << 20) - 1] == 'x');
    puts(getenv("GUEST_WORD"));
    CHECK(guest_now(CLOCK_MONOTONIC) > 0);
    return guest_status();
}
