// MAP_FIXED replaces what is there; MAP_FIXED_NOREPLACE does not.
#include "../guest.h"

static void *map_at(char *address, size_t length, int flags)
{
    flags |= MAP_PRIVATE | MAP_ANONYMOUS;
    return mmap(address, length, PROT_READ | PROT_WRITE, flags, -1, 0);
}

int main(void)
{
    char *memory = guest_map(4 * 4096, PROT_READ | PROT_WRITE);
    memset(memory, 'x', 4 * 4096);
    CHECK(map_at(memory + 4096, 4096, MAP_FIXED) == memory + 4096);
    CHECK(memory[4095] == 'x' && memory[4096] == 0 && memory[8192] == 'x');
    SHOW((long)map_at(memory, 4096, MAP_FIXED_NOREPLACE));
    SHOW((long)map_at(memory + 3 * 4096, 2 * 4096, MAP_FIXED_NOREPLACE));
    MUST(munmap(memory + 8192, 4096));
    CHECK(map_at(memory + 8192, 4096, MAP_FIXED_NOREPLACE) == memory + 8192);
    SHOW((long)map_at(memory + 8192, 4096, MAP_FIXED_NOREPLACE));
    SHOW((long)map_at(memory + 1, 4096, MAP_FIXED));
    SHOW((long)map_at((char *)(UINT64_C(1) << 47), 4096, MAP_FIXED));
    SHOW((long)map_at((char *)((UINT64_C(1) << 47) - 4096), 4096, MAP_FIXED));

    // A file over anonymous memory, and memory over the file again.
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "file", 4));
    CHECK(mmap(memory, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == memory);
    puts(memory);
    CHECK(map_at(memory, 4096, MAP_FIXED) == memory);
    CHECK(memory[0] == 0);
    return guest_status();
}
