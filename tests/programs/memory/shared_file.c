// MAP_SHARED of a file: memory, file and other mappings are the same bytes.
#include "../guest.h"

int main(void)
{
    char content[8] = "";
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 8192));
    char *one = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *two = (char *)MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE, fd, 4096));
    strcpy(one + 4096, "memory");
    SHOW(pread(fd, content, 7, 4096));
    puts(content);
    puts(two);
    SHOW(pwrite(fd, "FILE", 4, 4096));
    puts(two);
    SHOW(msync(one, 8192, MS_SYNC));

    // The file grows and shrinks under its mapping.
    MUST(munmap(one + 4096, 4096));
    SHOW(ftruncate(fd, 4096));
    SHOW(ftruncate(fd, 8192));
    CHECK(two[0] == 0);
    SHOW(pwrite(fd, "new", 3, 4096));
    puts(two);

    int reader = MUST(open("file", O_RDONLY));
    SHOW((long)mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, reader, 0));
    char *read_only = (char *)MUST(mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0));
    SHOW(mprotect(read_only, 4096, PROT_READ | PROT_WRITE));
    int writer = MUST(open("file", O_WRONLY));
    SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, writer, 0));
    SHOW((long)mmap(NULL, 4096, PROT_WRITE, MAP_PRIVATE, writer, 0));
    return guest_status();
}
