// Anonymous memory: zeros, page-aligned, writable, gone after munmap.
#include "../guest.h"

// Whether the kernel can read a byte there: asking it beats a fault.
static bool readable(const char *address)
{
    static int ends[2];
    char byte;
    if (!ends[1])
        MUST(pipe(ends));
    if (write(ends[1], address, 1) != 1)
        return false;
    MUST(read(ends[0], &byte, 1));
    return true;
}

int main(void)
{
    enum { LENGTH = 10 * 4096 };
    char *memory = guest_map(LENGTH, PROT_READ | PROT_WRITE);
    int nonzero = 0;
    CHECK((uintptr_t)memory % 4096 == 0);
    for (int i = 0; i < LENGTH; i++)
        nonzero += memory[i] != 0;
    SHOW(nonzero);
    memset(memory, 'x', LENGTH);
    CHECK(readable(memory) && readable(memory + LENGTH - 1));
    SHOW(munmap(memory, LENGTH));
    CHECK(!readable(memory));
    SHOW(munmap(memory, LENGTH));

    // A length is rounded up to whole pages, on both calls.
    memory = guest_map(1, PROT_READ | PROT_WRITE);
    memory[4095] = 1;
    SHOW(munmap(memory, 1));
    CHECK(!readable(memory + 4095));

    // Without a hint, the next mapping is where there is room; with one, it is there if free.
    memory = guest_map(LENGTH, PROT_READ);
    MUST(munmap(memory, LENGTH));
    char *hinted = (char *)MUST(mmap(memory + 4096, 4096, PROT_READ,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(hinted == memory + 4096);
    char *again = (char *)MUST(mmap(hinted, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(again != hinted);
    // MAP_POPULATE and MAP_NORESERVE change nothing that shows.
    memory = (char *)MUST(mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NORESERVE, -1, 0));
    CHECK(memory[LENGTH - 1] == 0);
    return guest_status();
}
