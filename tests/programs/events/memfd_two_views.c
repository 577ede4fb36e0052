// One memfd mapped twice: a writable and an executable view of the same bytes, as JITs use it.
#include "../guest.h"

int main(void)
{
    int fd = MUST(memfd_create("code", 0));
    MUST(ftruncate(fd, 4096));
    unsigned char *write_view =
        (unsigned char *)MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    void *run_view = (void *)MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
    CHECK(run_view != (void *)write_view);
    int (*function)(void) = (int (*)(void))run_view;
    for (int value = 1; value <= 3; value++) {
        // mov eax, value; ret
        unsigned char code[] = {0xb8, (unsigned char)value, 0, 0, 0, 0xc3};
        memcpy(write_view, code, sizeof code);
        SHOW(function());
    }
    SHOW(pwrite(fd, "\x2a", 1, 1));
    SHOW(function());
    unsigned char byte;
    SHOW(pread(fd, &byte, 1, 0));
    CHECK(byte == 0xb8);
    // The memory outlives the descriptor.
    MUST(close(fd));
    write_view[1] = 7;
    SHOW(function());
    return guest_status();
}
