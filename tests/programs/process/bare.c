// build: nostdlib
// exit: 17
// No libc at all: the registers and the stack at the entry, and system calls by hand.
#include <sys/syscall.h>

static long call(long number, long first, long second, long third)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

static void print(const char *text, long good)
{
    long length = 0;
    while (text[length])
        length++;
    call(SYS_write, 1, (long)text, length);
    call(SYS_write, 1, (long)(good ? ": yes\n" : ": NO\n"), good ? 6 : 5);
}

__attribute__((used)) static void begin(long *stack, long rdx)
{
    print("the stack is aligned", (long)stack % 16 == 0);
    print("there is one argument", stack[0] == 1 && stack[1] != 0 && stack[2] == 0);
    print("no function to call at exit", rdx == 0);
    long *entry = stack + 3;
    while (*entry)
        entry++;
    print("the auxiliary vector follows", entry[1] != 0);
    print("an unknown call is ENOSYS", call(9999, 0, 0, 0) == -38);
    print("a bad descriptor is EBADF", call(SYS_close, 99, 0, 0) == -9);
    call(SYS_exit, 17, 0, 0);
}

__asm__(".globl _start\n"
        "_start: mov %rsp, %rdi\n"
        "mov %rdx, %rsi\n"
        "xor %ebp, %ebp\n"
        "call begin\n");
