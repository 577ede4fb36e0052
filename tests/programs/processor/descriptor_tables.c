// Asking where a kernel has its tables tells a program nothing that it can use.
#include "trap.h"

__attribute__((used)) static struct {
    unsigned short limit;
    unsigned long base;
} __attribute__((packed)) table;

int main(void)
{
    TRY("sgdt", "sgdt table(%%rip)");
    TRY("sidt", "sidt table(%%rip)");
    TRY("sldt", "sldt %%eax");
    TRY("str", "str %%eax");
    TRY("smsw", "smsw %%eax");
    TRY("sgdt to nowhere", "sgdt (%%rsi)", .rsi = 8);
    return guest_status();
}
