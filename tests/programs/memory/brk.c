// brk: the heap's end moves, its new pages are zeros, and a refusal gives the old end back.
#include "../guest.h"

static char *set(char *end)
{
    return (char *)syscall(SYS_brk, end);
}

int main(void)
{
    // From here on nothing may allocate: the heap is ours.
    char *start = set(NULL), *end = (char *)(((uintptr_t)start + 4095) & ~4095ul);
    bool grew = set(end + 3 * 4096) == end + 3 * 4096;
    bool zero = end[0] == 0 && end[3 * 4096 - 1] == 0;
    memset(end, 'x', 3 * 4096);
    bool shrank = set(end + 4096) == end + 4096;
    unsigned char vector;
    bool gone = mincore(end + 4096, 4096, &vector) == -1 && errno == ENOMEM;
    bool again = set(end + 3 * 4096) == end + 3 * 4096;
    bool fresh = end[4095] == 'x' && end[4096] == 0;
    // The end need not be at a page.
    bool odd = set(end + 5) == end + 5 && set(NULL) == end + 5;
    bool below = set((char *)4096) == end + 5;
    bool huge = set((char *)(UINT64_C(1) << 60)) == end + 5;
    bool restored = set(start) == start;
    CHECK(grew);
    CHECK(zero);
    CHECK(shrank);
    CHECK(gone);
    CHECK(again);
    CHECK(fresh);
    CHECK(odd);
    CHECK(below);
    CHECK(huge);
    CHECK(restored);
    char *before = sbrk(0);
    CHECK(sbrk(8192) == before && (char *)sbrk(0) == before + 8192);
    return guest_status();
}
