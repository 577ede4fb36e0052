// kvm: hardware
// The selectors of 32-bit code: a program may load them to read through.
#include "segments.h"

int main(void)
{
    for (unsigned selector = 0x20; selector < 0x24; selector++)
        load_all(selector);
    return guest_status();
}
