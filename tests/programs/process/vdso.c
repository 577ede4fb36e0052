// The vDSO: an ELF image that the loader lists, with functions that answer without a call.
#include "../guest.h"
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

static int visit(struct dl_phdr_info *object, size_t size, void *name)
{
    (void)size;
    unsigned long base = getauxval(AT_SYSINFO_EHDR);
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_LOAD &&
            object->dlpi_addr + object->dlpi_phdr[i].p_vaddr == base)
            *(const char **)name = object->dlpi_name;
    return 0;
}

int main(void)
{
    const char *name = NULL;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)getauxval(AT_SYSINFO_EHDR);
    CHECK(header != NULL && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0);
    CHECK(header->e_type == ET_DYN && header->e_machine == EM_X86_64);
    dl_iterate_phdr(visit, &name);
    CHECK(name != NULL);
    puts(name);

    void *vdso = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    CHECK(vdso != NULL);
    const char *functions[] = {"__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time",
                               "__vdso_getcpu", "__vdso_clock_getres"};
    for (int i = 0; i < 5; i++)
        printf("%s: %s\n", functions[i], dlsym(vdso, functions[i]) ? "there" : "missing");

    long (*clock)(clockid_t, struct timespec *) =
        (long (*)(clockid_t, struct timespec *))dlsym(vdso, "__vdso_clock_gettime");
    struct timespec now;
    SHOW(clock(CLOCK_MONOTONIC, &now));
    int64_t nanoseconds = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    CHECK(nanoseconds > 0 && nanoseconds <= guest_now(CLOCK_MONOTONIC));
    // Unlike libc's function it gives the error itself.
    SHOW(clock(99, &now));
    return guest_status();
}
