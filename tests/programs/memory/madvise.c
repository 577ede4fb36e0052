// madvise: what DONTNEED gives back, what the hints leave alone, what is refused.
#include "../guest.h"

int main(void)
{
    char *memory = guest_map(4 * 4096, PROT_READ | PROT_WRITE);
    memset(memory, 'x', 4 * 4096);
    SHOW(madvise(memory + 4096, 4096, MADV_DONTNEED));
    CHECK(memory[4095] == 'x' && memory[4096] == 0 && memory[8192] == 'x');
    SHOW(madvise(memory, 4 * 4096, MADV_WILLNEED));
    SHOW(madvise(memory, 4 * 4096, MADV_SEQUENTIAL));
    SHOW(madvise(memory, 4 * 4096, MADV_NORMAL));
    SHOW(madvise(memory, 4 * 4096, MADV_DONTFORK));
    SHOW(madvise(memory, 4 * 4096, MADV_DONTDUMP));
    CHECK(memory[0] == 'x');
    // After FREE each page is the old one or zeros, until it is written again.
    SHOW(madvise(memory, 4096, MADV_FREE));
    CHECK(memory[0] == 'x' || memory[0] == 0);
    memory[0] = 'y';
    CHECK(memory[0] == 'y');

    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "file", 4));
    char *private = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    private[0] = 'F';
    // A private file mapping falls back to the file.
    SHOW(madvise(private, 4096, MADV_DONTNEED));
    puts(private);
    SHOW(madvise(private, 4096, MADV_FREE));

    SHOW(madvise(memory + 1, 4096, MADV_DONTNEED));
    SHOW(madvise(memory, 4096, 9999));
    SHOW(madvise(memory, 0, MADV_DONTNEED));
    SHOW(madvise(memory, SIZE_MAX - 4095, MADV_DONTNEED));
    MUST(munmap(memory + 4096, 4096));
    // A hole is reported, but the rest is done.
    SHOW(madvise(memory, 3 * 4096, MADV_DONTNEED));
    CHECK(memory[0] == 0 && memory[2 * 4096] == 0 && memory[3 * 4096] == 'x');
    return guest_status();
}
