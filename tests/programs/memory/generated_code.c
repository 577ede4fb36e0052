// A small JIT: writes code, makes it executable, runs it, changes it, runs it again.
#include "../guest.h"

int main(void)
{
    unsigned char *code = (unsigned char *)guest_map(4096, PROT_READ | PROT_WRITE);
    int (*function)(int) = (int (*)(int))(void *)code;
    for (unsigned char factor = 2; factor <= 5; factor++) {
        // imul eax, edi, factor; ret
        memcpy(code, (unsigned char[]){0x6b, 0xc7, factor, 0xc3}, 4);
        SHOW(mprotect(code, 4096, PROT_READ | PROT_EXEC));
        SHOW(function(10));
        SHOW(mprotect(code, 4096, PROT_READ | PROT_WRITE));
    }
    SHOW(mprotect(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    for (unsigned char factor = 6; factor <= 8; factor++) {
        code[2] = factor;
        SHOW(function(10));
    }
    // Code that crosses a page, half of which is another mapping.
    unsigned char *pages = (unsigned char *)guest_map(8192, PROT_READ | PROT_WRITE);
    memcpy(pages + 4094, (unsigned char[]){0x6b, 0xc7, 9, 0xc3}, 4);
    MUST(mprotect(pages, 4096, PROT_READ | PROT_EXEC));
    MUST(mprotect(pages + 4096, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    function = (int (*)(int))(void *)(pages + 4094);
    SHOW(function(10));
    return guest_status();
}
