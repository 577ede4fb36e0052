// munmap in the middle leaves two mappings; across holes it takes whatever is there.
#include "../guest.h"

static char *memory;

static void print(void)
{
    unsigned char vector;
    for (int page = 0; page < 8; page++)
        putchar(mincore(memory + page * 4096, 4096, &vector) == 0 ? '#' : '.');
    putchar('\n');
}

int main(void)
{
    memory = guest_map(8 * 4096, PROT_READ | PROT_WRITE);
    memset(memory, 'x', 8 * 4096);
    print();
    SHOW(munmap(memory + 2 * 4096, 4096));
    print();
    SHOW(munmap(memory + 4 * 4096, 2 * 4096));
    print();
    CHECK(memory[3 * 4096] == 'x' && memory[6 * 4096] == 'x');
    SHOW(mprotect(memory, 4 * 4096, PROT_READ));
    // The pages before the hole have changed already.
    SHOW(write(MUST(open("/dev/zero", O_WRONLY)), memory, 4096));
    SHOW(read(MUST(open("/dev/zero", O_RDONLY)), memory, 4096));
    SHOW(read(MUST(open("/dev/zero", O_RDONLY)), memory + 3 * 4096, 4096));
    SHOW(munmap(memory + 4096, 6 * 4096));
    print();
    SHOW(munmap(memory + 1, 4096));
    SHOW(munmap(memory, 0));
    SHOW(munmap((void *)(UINT64_C(1) << 63), 4096));
    SHOW(munmap(memory, SIZE_MAX - 8191));
    print();
    return guest_status();
}
