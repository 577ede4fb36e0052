// /dev/null, zero, full, urandom, random: what reading, writing and seeking give.
#include "../guest.h"
#include <sys/sysmacros.h>

int main(void)
{
    const char *names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random"};
    for (int i = 0; i < 5; i++) {
        unsigned char block[64];
        struct stat status;
        int nonzero = 0, fd = MUST(open(names[i], O_RDWR));
        puts(names[i]);
        memset(block, 1, sizeof block);
        long count = SHOW(read(fd, block, sizeof block));
        for (int at = 0; at < count; at++)
            nonzero += block[at] != 0;
        CHECK(i >= 3 ? nonzero > 40 : nonzero == 0);
        SHOW(write(fd, block, sizeof block));
        SHOW(lseek(fd, 100, SEEK_SET));
        SHOW(pread(fd, block, 1, 50));
        MUST(fstat(fd, &status));
        printf("character=%d %u:%u\n", S_ISCHR(status.st_mode), major(status.st_rdev),
               minor(status.st_rdev));
        CHECK((status.st_mode & 0777) == 0666);
    }
    // Memory from /dev/zero, private and shared.
    int zero = MUST(open("/dev/zero", O_RDWR));
    char *memory = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0));
    CHECK(memory[8191] == 0);
    memory[8191] = 1;
    memory = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0));
    CHECK(memory[8191] == 0);
    int null = MUST(open("/dev/null", O_WRONLY));
    SHOW(write(null, NULL, 0));
    SHOW(write(null, memory, 1 << 20));
    SHOW(ftruncate(null, 5));
    return guest_status();
}
