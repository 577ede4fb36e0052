// Running what may not be run: data, the stack, the heap, and code that ends in the middle of an
// instruction.
#include "trap.h"

static char data[64] = {(char)0xc3};

static void jump(const char *what, const void *to)
{
    trap_expected = (uintptr_t)to;
    TRY(what, "jmp *%%rsi", .rsi = (unsigned long)to);
}

int main(void)
{
    char stack[16] = {(char)0xc3};
    char *heap = malloc(64);
    char *pages = guest_map(3 * 4096, PROT_READ | PROT_WRITE);
    heap[0] = (char)0xc3;
    pages[0] = pages[4096] = pages[8192] = (char)0xc3;
    jump("data", data);
    jump("stack", stack);
    jump("heap", heap);
    jump("pages", pages);
    MUST(mprotect(pages, 4096, PROT_READ | PROT_EXEC));
    jump("pages that may be run", pages);
    MUST(mprotect(pages, 4096, PROT_READ));
    jump("pages that may not be run any more", pages);
    MUST(mprotect(pages, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
    // An instruction of two bytes, the second of which is on the page behind.
    pages[8191] = 0x66;
    trap_expected = (uintptr_t)pages + 8192;
    TRY("half an instruction", "jmp *%%rsi", .rsi = (unsigned long)pages + 8191);
    CHECK(trap_seen.rip == (uintptr_t)pages + 8191);
    MUST(munmap(pages + 8192, 4096));
    TRY("half an instruction before nothing", "jmp *%%rsi", .rsi = (unsigned long)pages + 8191);
    CHECK(trap_seen.rip == (uintptr_t)pages + 8191);
    // Behind it runs into the next page.
    pages[8191] = (char)0x90;
    TRY("running off the end", "jmp *%%rsi", .rsi = (unsigned long)pages + 8191);
    MUST(mprotect(pages, 8192, PROT_NONE));
    jump("no access", pages);
    // What a branch would have fetched is not run when it is not taken.
    TRY("not taken", "cmp %%rsi, %%rsi\n jne 1f\n ret\n 1: jmp *%%rsi", .rsi = 8);
    return guest_status();
}
