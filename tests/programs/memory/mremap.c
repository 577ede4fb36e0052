// mremap: growing, shrinking and moving keep the content; refusals.
#include "../guest.h"

int main(void)
{
    char *memory = guest_map(4 * 4096, PROT_READ | PROT_WRITE);
    memset(memory, 'x', 4 * 4096);
    unsigned char vector;
    CHECK(mremap(memory, 4 * 4096, 2 * 4096, 0) == memory);
    SHOW(mincore(memory + 2 * 4096, 4096, &vector));
    // Room was left behind it, so it can grow in place.
    CHECK(mremap(memory, 2 * 4096, 4 * 4096, 0) == memory);
    CHECK(memory[2 * 4096 - 1] == 'x' && memory[2 * 4096] == 0);

    // Something is in the way.
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    CHECK(mmap(memory + 2 * 4096, 4096, PROT_READ, flags, -1, 0) == memory + 2 * 4096);
    SHOW((long)mremap(memory, 2 * 4096, 3 * 4096, 0));
    char *moved = (char *)MUST(mremap(memory, 2 * 4096, 100 * 4096, MREMAP_MAYMOVE));
    CHECK(moved != memory && moved[0] == 'x' && moved[2 * 4096 - 1] == 'x');
    CHECK(moved[2 * 4096] == 0 && moved[100 * 4096 - 1] == 0);
    SHOW(mincore(memory, 4096, &vector));

    char *target = guest_map(2 * 4096, PROT_NONE);
    CHECK(mremap(moved, 4096, 2 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK(target[0] == 'x' && target[4096] == 0 && moved[4096] == 'x');
    SHOW(mincore(moved, 4096, &vector));
    SHOW((long)mremap(target, 2 * 4096, 4096, MREMAP_FIXED, moved));
    SHOW((long)mremap(target, 2 * 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, target + 4096));
    SHOW((long)mremap(target + 1, 4096, 4096, 0));
    SHOW((long)mremap(target, 4096, 0, 0));
    SHOW((long)mremap(moved, 4096, 2 * 4096, MREMAP_MAYMOVE));
    SHOW((long)mremap(target, 4096, 4096, 8));
    SHOW((long)mremap(target, 0, 4096, MREMAP_MAYMOVE));

    // MREMAP_DONTUNMAP leaves empty pages behind.
    char *other = (char *)MUST(mremap(target, 4096, 4096, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
    CHECK(other != target && other[0] == 'x' && target[0] == 0);
    return guest_status();
}
