// mincore: touched pages are there; the shape of its refusals.
#include "../guest.h"

int main(void)
{
    unsigned char vector[5];
    char *memory = guest_map(4 * 4096, PROT_READ | PROT_WRITE);
    memory[0] = memory[2 * 4096] = 1;
    memset(vector, 0xee, sizeof vector);
    SHOW(mincore(memory, 3 * 4096 + 1, vector));
    CHECK((vector[0] & 1) && (vector[2] & 1));
    CHECK(!(vector[1] & 1) && !(vector[3] & 1));
    CHECK(vector[4] == 0xee);
    SHOW(mincore(memory, 0, vector));
    SHOW(mincore(memory + 1, 4096, vector));
    SHOW(mincore(memory, 4096, guest_bad_pointer()));
    MUST(munmap(memory + 4096, 4096));
    SHOW(mincore(memory, 4 * 4096, vector));
    SHOW(mincore(memory, 4096, vector));
    SHOW(mincore((void *)(UINT64_C(1) << 63), 4096, vector));
    return guest_status();
}
