// personality: an ordinary Linux; asking does not change it.
#include "../guest.h"
#include <sys/personality.h>

int main(void)
{
    SHOW(personality(0xffffffff) & PER_MASK);
    SHOW(personality(PER_LINUX) & PER_MASK);
    return guest_status();
}
