// MAP_SHARED | MAP_ANONYMOUS: zeros, seen by all threads, moved whole by mremap.
#include "../guest.h"

static void *fill(void *argument)
{
    memset(argument, 7, 8192);
    return NULL;
}

int main(void)
{
    unsigned char *memory = (unsigned char *)MUST(
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    CHECK(memory[0] == 0 && memory[8191] == 0);
    pthread_join(guest_thread(fill, memory), NULL);
    CHECK(memory[0] == 7 && memory[8191] == 7);
    // With an old length of nought, a second view of the same pages appears.
    unsigned char *view = (unsigned char *)MUST(mremap(memory, 0, 8192, MREMAP_MAYMOVE));
    CHECK(view != memory && view[8191] == 7);
    view[0] = 9;
    SHOW(memory[0]);
    // DONTNEED does not lose shared pages.
    SHOW(madvise(memory, 8192, MADV_DONTNEED));
    SHOW(memory[0]);
    SHOW(munmap(memory, 8192));
    SHOW(view[0]);
    return guest_status();
}
