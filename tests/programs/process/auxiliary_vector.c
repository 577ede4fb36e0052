// The auxiliary vector: what libc and runtimes look up there.
#include "../guest.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

extern char **environ;
extern const ElfW(Ehdr) __ehdr_start;

int main(int argc, char **argv)
{
    (void)argc;
    SHOW(getauxval(AT_PAGESZ));
    SHOW(getauxval(AT_CLKTCK));
    SHOW(getauxval(AT_FLAGS));
    const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
    CHECK(random != NULL);
    int nonzero = 0;
    for (int i = 0; i < 16; i++)
        nonzero += random[i] != 0;
    CHECK(nonzero > 8);
    const char *file = (const char *)getauxval(AT_EXECFN);
    CHECK(strcmp(file, argv[0]) == 0);
    CHECK(strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") == 0);
    CHECK(getauxval(AT_HWCAP) != 0);
    CHECK(getauxval(AT_MINSIGSTKSZ) >= 1024);
    CHECK(getauxval(AT_BASE) != 0);

    // The program's own headers.
    CHECK(getauxval(AT_PHDR) == (unsigned long)&__ehdr_start + __ehdr_start.e_phoff);
    CHECK(getauxval(AT_PHNUM) == __ehdr_start.e_phnum);
    SHOW(getauxval(AT_PHENT));
    CHECK(getauxval(AT_ENTRY) % 16 == 0 && getauxval(AT_ENTRY) > (unsigned long)&__ehdr_start);

    // It follows the environment on the stack, which is 16-byte aligned at the start.
    char **end = environ;
    while (*end)
        end++;
    ElfW(auxv_t) *entry = (ElfW(auxv_t) *)(end + 1);
    int count = 0;
    while (entry[count].a_type != AT_NULL)
        count++;
    CHECK(count >= 15);
    CHECK((unsigned long)(argv - 1) % 16 == 0);
    CHECK((long)argv[-1] == argc);
    SHOW(getauxval(9999));
    return guest_status();
}
