// Accesses across the border of two pages that allow different things: the fault is on the page
// that refuses, and nothing of the access has happened.
#include "trap.h"

static char *pages;

static void try(const char *what, const void *code, unsigned long at, unsigned long expected)
{
    trap_expected = expected;
    trap_try(what, code, (Registers){.rax = -1ul, .rcx = 100, .rsi = at, .rdi = at});
}

static void try_all(const char *name, int first, int second)
{
    unsigned long border = (unsigned long)pages + 4096;
    MUST(mprotect(pages, 8192, PROT_READ | PROT_WRITE));
    memset(pages, 1, 8192);
    MUST(mprotect(pages, 4096, first));
    MUST(mprotect(pages + 4096, 4096, second));
    puts(name);
    unsigned long refusing = second == (PROT_READ | PROT_WRITE) ? border - 4 : border;
    try("load", CODE("mov (%%rsi), %%rax"), border - 4, refusing);
    try("store", CODE("mov %%rax, (%%rsi)"), border - 4, refusing);
    try("exchange", CODE("xchg %%rax, (%%rsi)"), border - 8, border - 8);
    try("vector store", CODE("movups %%xmm0, (%%rsi)"), border - 4, refusing);
    try("fill", CODE("rep stosb"), border - 50,
        second == (PROT_READ | PROT_WRITE) ? border - 50 : border);
    MUST(mprotect(pages, 8192, PROT_READ));
    // What a repeated instruction has done before its fault is done; of all others nothing.
    printf("before the border %d %d, behind it %d\n", pages[4096 - 50], pages[4095], pages[4096]);
}

int main(void)
{
    pages = guest_map(8192, PROT_READ | PROT_WRITE);
    try_all("both", PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE);
    try_all("then read-only", PROT_READ | PROT_WRITE, PROT_READ);
    try_all("then nothing", PROT_READ | PROT_WRITE, PROT_NONE);
    try_all("first read-only", PROT_READ, PROT_READ | PROT_WRITE);
    try_all("first nothing", PROT_NONE, PROT_READ | PROT_WRITE);
    return guest_status();
}
