// MAP_PRIVATE of a file: shows the file, keeps writes to itself, zeros after the end.
#include "../guest.h"

int main(void)
{
    char byte;
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(write(fd, "0123456789", 10));
    char *map = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    printf("%.10s\n", map);
    CHECK(map[10] == 0 && map[4095] == 0);
    map[0] = 'X';
    SHOW(pread(fd, &byte, 1, 0));
    CHECK(byte == '0');
    CHECK(map[0] == 'X' && map[1] == '1');
    // A private writable mapping needs only reading of the file.
    int reader = MUST(open("file", O_RDONLY));
    MUST(close(fd));
    char *second = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0));
    second[1] = 'Y';
    printf("%.10s %.10s\n", map, second);
    MUST(close(reader));
    MUST(unlink("file"));
    printf("%.10s\n", second);

    // Offsets count in the file, whatever its pages.
    fd = MUST(open("long", O_CREAT | O_RDWR, 0644));
    MUST(pwrite(fd, "far", 3, 3 * 4096 + 5));
    char *tail = (char *)MUST(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 3 * 4096));
    printf("%s\n", tail + 5);
    return guest_status();
}
