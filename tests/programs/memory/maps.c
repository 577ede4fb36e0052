// /proc/self/maps shows mappings with their permissions, offsets and names, as they change.
#include "../guest.h"

// Prints the line that holds an address, without its host-dependent parts.
static void print(const char *name, const char *address)
{
    char line[512], permissions[5], path[256];
    unsigned long start, end, offset, inode;
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    while (!found && fgets(line, sizeof line, maps)) {
        path[0] = 0;
        sscanf(line, "%lx-%lx %4s %lx %*s %lu %255[^\n]", &start, &end, permissions, &offset, &inode,
               path);
        found = (uintptr_t)address >= start && (uintptr_t)address < end;
    }
    fclose(maps);
    if (!found) {
        printf("%s: not there\n", name);
        return;
    }
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    printf("%s: %s offset=%lx inode=%d %s\n", name, permissions, offset, inode != 0, base);
}

int main(void)
{
    int local = 0, fd = MUST(open("mapped", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 4 * 4096));
    char *file = (char *)MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 8192));
    char *shared = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096));
    // Room around the page keeps the kernel from joining it to its neighbours.
    char *page = guest_map(3 * 4096, PROT_NONE) + 4096;
    MUST(mprotect(page, 4096, PROT_READ | PROT_WRITE));
    print("code", (char *)main);
    print("file", file);
    print("shared", shared);
    print("anonymous", page);
    print("stack", (char *)&local);
    // The heap is touched before it shows.
    print("heap", (char *)sbrk(4096));
    MUST(mprotect(page, 4096, PROT_READ));
    print("protected", page);
    MUST(munmap(page, 4096));
    print("unmapped", page);
    MUST(unlink("mapped"));
    MUST(munmap(file, 4096));
    print("file", file);
    print("unlinked", shared);
    return guest_status();
}
