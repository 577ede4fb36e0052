// A huge PROT_NONE reservation of which little is made usable, as garbage collectors do.
#include "../guest.h"

int main(void)
{
    enum { GIB = 1 << 30 };
    size_t length = (size_t)64 * GIB;
    char *space = (char *)MUST(mmap(NULL, length, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    char byte;
    int ends[2];
    MUST(pipe(ends));
    SHOW(write(ends[1], space, 1));
    for (size_t at = 0; at < length; at += (size_t)8 * GIB) {
        MUST(mprotect(space + at, 65536, PROT_READ | PROT_WRITE));
        space[at] = 'x';
        space[at + 65535] = 'y';
    }
    SHOW(write(ends[1], space + (size_t)8 * GIB, 1));
    SHOW(write(ends[1], space + 65536, 1));
    MUST(read(ends[0], &byte, 1));

    // Giving pages back: by advice, by protection, and by mapping over them.
    SHOW(madvise(space, 65536, MADV_DONTNEED));
    SHOW(space[0]);
    SHOW(mprotect(space, 65536, PROT_NONE));
    SHOW(write(ends[1], space, 1));
    CHECK(mmap(space + (size_t)8 * GIB, 65536, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) ==
          space + (size_t)8 * GIB);
    SHOW(write(ends[1], space + (size_t)8 * GIB, 1));
    SHOW(mprotect(space + (size_t)8 * GIB, 4096, PROT_READ | PROT_WRITE));
    SHOW(space[(size_t)8 * GIB]);

    // Cut down to an aligned middle part.
    SHOW(munmap(space, (size_t)16 * GIB));
    SHOW(munmap(space + (size_t)32 * GIB, (size_t)32 * GIB));
    CHECK(space[(size_t)24 * GIB] == 'x');
    SHOW(write(ends[1], space + (size_t)32 * GIB, 1));
    return guest_status();
}
