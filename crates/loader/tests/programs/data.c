/* A program with text, constants, data, and a bss that begins within a page and covers several. Never run. */
const char constant[] = "a constant of the test program";
char data[] = "data of the test program";
char bss[5 * 4096];
char *volatile pointer = bss;

int main(void)
{
    return pointer[4096] + data[1] + constant[1];
}

#ifdef ALONE
void _start(void)
{
    main();
    __builtin_trap();
}
#endif
