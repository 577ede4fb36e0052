// mmap: every refusal.
#include "../guest.h"

int main(void)
{
    int anonymous = MAP_PRIVATE | MAP_ANONYMOUS, ends[2];
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    SHOW((long)mmap(NULL, 0, PROT_READ, anonymous, -1, 0));
    SHOW((long)mmap(NULL, SIZE_MAX, PROT_READ, anonymous, -1, 0));
    SHOW((long)mmap(NULL, UINT64_C(1) << 47, PROT_NONE, anonymous | MAP_NORESERVE, -1, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1));
    SHOW((long)mmap(NULL, 4096, PROT_READ, anonymous, -1, 1));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, INT64_MAX - 4095));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | (1 << 25), fd, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, MUST(open(".", O_RDONLY)), 0));
    MUST(pipe(ends));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, ends[0], 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, MUST(open("file", O_PATH)), 0));
    // Past the end of the file is fine, until it is touched.
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1 << 20) != MAP_FAILED);

    char *memory = guest_map(2 * 4096, PROT_READ);
    SHOW(mprotect(memory + 1, 4096, PROT_READ));
    SHOW(mprotect(memory, 4096, 0x100));
    SHOW(mprotect(memory, 0, PROT_READ));
    SHOW(mprotect(memory, SIZE_MAX - 4095, PROT_READ));
    MUST(munmap(memory, 4096));
    SHOW(mprotect(memory, 2 * 4096, PROT_READ));
    return guest_status();
}
