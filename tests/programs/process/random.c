// getrandom: full lengths, flags, different bytes each time.
#include "../guest.h"
#include <sys/random.h>

int main(void)
{
    static unsigned char one[100000], two[100000];
    SHOW(getrandom(one, 16, 0));
    SHOW(getrandom(two, 16, GRND_NONBLOCK));
    CHECK(memcmp(one, two, 16) != 0);
    SHOW(getrandom(one, 256, GRND_RANDOM));
    SHOW(getrandom(one, sizeof one, 0));
    SHOW(getrandom(two, sizeof two, GRND_INSECURE));
    // No longer run is the same, and every byte value occurs.
    int equal = 0, seen[256] = {0}, missing = 0;
    for (size_t i = 0; i < sizeof one; i++) {
        equal += one[i] == two[i];
        seen[one[i]]++;
    }
    for (int i = 0; i < 256; i++)
        missing += seen[i] == 0;
    CHECK(equal < 1000);
    SHOW(missing);
    SHOW(getrandom(one, 0, 0));
    SHOW(getrandom(one, 16, 8));
    SHOW(getrandom(one, 16, GRND_RANDOM | GRND_INSECURE));
    SHOW(getrandom(guest_bad_pointer(), 16, 0));
    CHECK(getentropy(one, 256) == 0);
    return guest_status();
}
