// build: static-pie
// A static position-independent program relocates itself, wherever it was put.
#include "../guest.h"
#include <sys/auxv.h>

static int value = 5;
static int *const pointer = &value;
static int (*const function)(const char *) = puts;

int main(void)
{
    SHOW(*pointer);
    CHECK(function("through a relocated pointer") >= 0);
    SHOW(getauxval(AT_BASE));
    CHECK(getauxval(AT_ENTRY) >= UINT64_C(1) << 32);
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    unsigned long start = 0, end = 0;
    bool found = false;
    char line[512];
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx", &start, &end) == 2)
            found |= (unsigned long)&value >= start && (unsigned long)&value < end;
    CHECK(found);
    return guest_status();
}
