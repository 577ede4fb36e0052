// Segment registers: which selectors can be loaded, and what each refusal says.
#include "segments.h"

static const unsigned high[] = {0x80, 0x83, 0xf8, 0x1000, 0x7fff, 0x8000, 0xfff8, 0xfffc, 0xffff};

int main(void)
{
    // 0x20 to 0x23 are in old_segments.c; entry 15 of Linux's table tells the processor's number,
    // and whether it can be loaded is no matter.
    for (unsigned selector = 0; selector < 0x78; selector++)
        if (selector < 0x20 || selector >= 0x24)
            load_all(selector);
    for (size_t i = 0; i < sizeof high / sizeof *high; i++)
        load_all(high[i]);
    // cs cannot be loaded like this at all.
    TRY("mov to cs", ".byte 0x8e, 0xc8", .rax = 0x33);
    return guest_status();
}
