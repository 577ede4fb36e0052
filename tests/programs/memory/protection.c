// mprotect: what each protection lets the program do, and the fault when it does not.
#include "../guest.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile sig_atomic_t code;

static void on_fault(int signal_number, siginfo_t *information, void *context)
{
    (void)signal_number;
    (void)context;
    code = information->si_code;
    siglongjmp(back, 1);
}

static const char *try(volatile char *address, char action)
{
    if (sigsetjmp(back, 1))
        return code == SEGV_ACCERR ? "denied" : code == SEGV_MAPERR ? "unmapped" : "other";
    if (action == 'r')
        (void)*address;
    else if (action == 'w')
        *address = (char)0xc3;
    else
        ((void (*)(void))address)();
    return "ok";
}

int main(void)
{
    char *memory = guest_map(4096, PROT_READ | PROT_WRITE);
    memory[0] = (char)0xc3;
    guest_handle_info(SIGSEGV, on_fault, 0);
    int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
                         PROT_READ | PROT_WRITE | PROT_EXEC, PROT_WRITE};
    const char *names[] = {"none", "r", "rw", "rx", "rwx", "w"};
    for (int i = 0; i < 6; i++) {
        MUST(mprotect(memory, 4096, protections[i]));
        printf("%s: read %s, write %s, run %s\n", names[i], try(memory, 'r'), try(memory, 'w'),
               try(memory, 'x'));
    }
    MUST(munmap(memory, 4096));
    printf("gone: read %s, write %s, run %s\n", try(memory, 'r'), try(memory, 'w'),
           try(memory, 'x'));
    return guest_status();
}
