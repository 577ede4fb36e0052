// MAP_NORESERVE: accessible memory of which more is mapped than there is, and little is used; a reservation of terabytes
#include "../guest.h"

int main(void)
{
    size_t gib = (size_t)1 << 30, length = 64 * gib;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *heap = (char *)MUST(mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0));
    for (size_t at = 0; at < length; at += 4 * gib)
        heap[at] = (char)(at / gib);
    SHOW(heap[8 * gib]);
    SHOW(heap[8 * gib + 4096]);
    SHOW(madvise(heap, length, MADV_DONTNEED));
    SHOW(heap[8 * gib]);
    SHOW(munmap(heap + 16 * gib, 16 * gib));
    heap[length - 1] = 'e';
    SHOW(heap[length - 1]);
    CHECK(mremap(heap + 32 * gib, 32 * gib, 16 * gib, 0) == heap + 32 * gib);
    SHOW(mprotect(heap, 16 * gib, PROT_NONE));
    SHOW(mprotect(heap, 16 * gib, PROT_READ | PROT_WRITE));
    SHOW(heap[0]);

    // A cage as of a JIT with a sandbox: aligned to its size, cut out of a larger reservation.
    size_t tib = (size_t)1 << 40;
    char *wide = (char *)MUST(mmap(NULL, 2 * tib, PROT_NONE, flags, -1, 0));
    char *cage = (char *)(((uintptr_t)wide + tib - 1) & ~(uintptr_t)(tib - 1));
    CHECK(cage == wide || munmap(wide, (size_t)(cage - wide)) == 0);
    CHECK(munmap(cage + tib, (size_t)(wide + tib - cage)) == 0);
    for (size_t at = 0; at < tib; at += tib / 8) {
        CHECK(mmap(cage + at, 65536, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == cage + at);
        cage[at + 65535] = 'c';
    }
    SHOW(mprotect(cage + tib / 2 + 65536, 65536, PROT_READ | PROT_WRITE));
    SHOW(cage[tib / 2 + 65535]);
    SHOW(cage[tib / 2 + 65536]);
    SHOW(munmap(cage, tib));

    // What is shared without a file is as well.
    char *shared = (char *)MUST(mmap(NULL, 32 * gib, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    shared[31 * gib] = 's';
    SHOW(shared[31 * gib]);
    SHOW(munmap(shared, 32 * gib));
    return guest_status();
}
