// exit: 4
// args: one --two= three/four
// argc, argv and the environment arrive as given, in order, NULL at their ends.
#include "../guest.h"

extern char **environ;

int main(int argc, char **argv, char **envp)
{
    for (int i = 1; i < argc; i++)
        printf("argv[%d]=%s\n", i, argv[i]);
    const char *base = strrchr(argv[0], '/');
    printf("argv[0]=%s\n", base ? base + 1 : argv[0]);
    CHECK(argv[argc] == NULL);
    // The environment follows the arguments on the stack.
    CHECK(envp == argv + argc + 1 && envp == environ);
    for (char **entry = envp; *entry; entry++)
        puts(*entry);
    CHECK(getenv("MISSING") == NULL);
    MUST(setenv("GUEST_WORD", "changed", 1));
    puts(getenv("GUEST_WORD"));
    return argc;
}
