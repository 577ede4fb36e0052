// Breakpoints and overflow, in all encodings, and what the bytes of bound and into have become.
#include "trap.h"

static void try(const char *what, const void *code)
{
    trap_try(what, code, (Registers){});
    SHOW(trap_seen.offset);
}

int main(void)
{
    try("int3", CODE("int3"));
    try("int 3", CODE(".byte 0xcd, 3"));
    try("int 4", CODE("int $4"));
    try("int1", CODE(".byte 0xf1"));
    try("into", CODE(".byte 0xce"));
    try("bound", CODE(".byte 0x62, 0x00, 0x00, 0x00, 0x90, 0x90"));
    try("behind prefixes", CODE(".byte 0x66, 0xf3, 0xcc"));
    return guest_status();
}
