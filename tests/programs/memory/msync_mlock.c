// msync and the mlock family: accepted on mapped pages, refused on holes and odd arguments.
#include "../guest.h"

int main(void)
{
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0644));
    MUST(ftruncate(fd, 8192));
    char *shared = (char *)MUST(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    char *memory = guest_map(3 * 4096, PROT_READ | PROT_WRITE);
    shared[0] = 'x';
    SHOW(msync(shared, 8192, MS_SYNC));
    SHOW(msync(shared, 8192, MS_ASYNC | MS_INVALIDATE));
    SHOW(msync(shared, 8192, MS_SYNC | MS_ASYNC));
    SHOW(msync(shared + 1, 4096, MS_SYNC));
    SHOW(msync(shared, 4096, 64));
    SHOW(msync(memory, 4096, MS_SYNC));

    SHOW(mlock(memory, 4096));
    SHOW(mlock(memory + 5, 10));
    SHOW(munlock(memory, 4096));
    SHOW(mlock2(memory, 4096, MLOCK_ONFAULT));
    SHOW(mlock2(memory, 4096, 2));
    SHOW(munlockall());
    SHOW(mlockall(0));
    MUST(munmap(memory + 4096, 4096));
    SHOW(mlock(memory, 3 * 4096));
    SHOW(munlock(memory, 3 * 4096));
    SHOW(msync(memory, 3 * 4096, MS_SYNC));
    SHOW(mlock(memory, SIZE_MAX));
    return guest_status();
}
