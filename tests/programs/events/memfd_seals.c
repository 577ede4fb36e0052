// Seals on a memfd: what each forbids, and that they only grow.
#include "../guest.h"

int main(void)
{
    int plain = MUST(memfd_create("plain", 0));
    SHOW(fcntl(plain, F_GET_SEALS));
    SHOW(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
    int fd = MUST(memfd_create("sealed", MFD_ALLOW_SEALING));
    SHOW(fcntl(fd, F_GET_SEALS));
    MUST(ftruncate(fd, 8192));

    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    SHOW(ftruncate(fd, 4096));
    SHOW(ftruncate(fd, 12288));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(ftruncate(fd, 16384));
    SHOW(pwrite(fd, "x", 1, 12288));
    SHOW(pwrite(fd, "x", 1, 0));

    char *shared = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    MUST(munmap(shared, 4096));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    SHOW(pwrite(fd, "y", 1, 0));
    SHOW((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *private = (char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    private[0] = 'p';
    char byte;
    SHOW(pread(fd, &byte, 1, 0));
    CHECK(byte == 'x');
    SHOW(fcntl(fd, F_GET_SEALS));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    SHOW(fcntl(fd, F_ADD_SEALS, 0x1000));
    int file = MUST(open("file", O_CREAT | O_RDWR, 0644));
    CHECK(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == -1); // EPERM on tmpfs, EINVAL elsewhere
    return guest_status();
}
