// Input and output ports are out of reach: every one, in every width, by every instruction.
#include "trap.h"

static char memory[4096], zero[sizeof memory];
static const unsigned short ports[] = {
    0,     0x10,   0x11,  0x17,  0x18,  0x20,   0x21,   0x2f,   0x60,  0x64,
    0x70,  0x80,   0x92,  0xe9,  0x1f0, 0x3f8,  0x402,  0x510,  0x600, 0x604,
    0xcf8, 0xb004, 0xcf9, 0xcfc, 0xf4f, 0xfffc, 0xfffe, 0xffff,
};

// Whether code ends in a general protection fault at its first instruction, and has changed
// nothing.
static bool refused(const void *code, unsigned short port)
{
    Registers registers = {.rax = 0x1234, .rcx = 100, .rdx = port};
    registers.rsi = registers.rdi = (unsigned long)memory;
    return !trap_run(code, registers) && trap_seen.trap == 13 && trap_seen.error == 0 &&
           trap_seen.offset == 0 && memcmp(memory, zero, sizeof memory) == 0;
}

int main(void)
{
    const void *const codes[] = {
        CODE("in %%dx, %%al"),  CODE("in %%dx, %%ax"),  CODE("in %%dx, %%eax"),
        CODE("out %%al, %%dx"), CODE("out %%ax, %%dx"), CODE("out %%eax, %%dx"),
        CODE("insb"),           CODE("outsb"),          CODE("insw"),
        CODE("outsw"),          CODE("insl"),           CODE("outsl"),
        CODE("rep insb"),       CODE("rep outsb"),      CODE("rep insw"),
        CODE("rep outsw"),      CODE("rep insl"),       CODE("rep outsl"),
    };
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        int count = 0;
        for (size_t code = 0; code < sizeof codes / sizeof *codes; code++)
            count += refused(codes[code], ports[i]);
        printf("port %x: %d refused\n", ports[i], count);
    }
    TRY("in from 0x10", "in $0x10, %%al");
    TRY("in from 0x20", "in $0x20, %%eax");
    TRY("out to 0x10", "out %%al, $0x10");
    TRY("out to 0x20", "out %%eax, $0x20");
    // As a system call would look: a number, and where it returns.
    TRY("out to 0x10 in disguise",
        "lea 1f(%%rip), %%rcx\n out %%al, $0x10\n 1:", .rax = SYS_getpid);
    return guest_status();
}
