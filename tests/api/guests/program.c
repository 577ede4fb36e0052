// Does what its first argument says.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    if (!strcmp(what, "exit")) return atoi(arguments[2]);
    if (!strcmp(what, "kill")) { raise(atoi(arguments[2])); return 99; }
    if (!strcmp(what, "spin")) for (;;) {}
    if (!strcmp(what, "sleep")) { pause(); return 99; }
    if (!strcmp(what, "environment")) for (char **variable = environ; *variable; variable++) puts(*variable);
    if (!strcmp(what, "arguments")) for (int at = 1; at < count; at++) puts(arguments[at]);
    if (!strcmp(what, "cwd")) { char path[4096]; puts(getcwd(path, sizeof path)); }
    if (!strcmp(what, "errors")) fputs("to standard error\n", stderr);
    if (!strcmp(what, "write")) {
        static char block[1 << 16];
        memset(block, 'x', sizeof block);
        for (long left = atol(arguments[2]); left > 0; left -= sizeof block) fwrite(block, 1, sizeof block, stdout);
    }
    if (!strcmp(what, "talk")) {
        for (int line = 0; line < 1000; line++) printf("line %d\n", line);
        fputs("\033[31mred\t\377\n", stderr);
        fflush(stdout);
        if (count > 2) pause();
        return 1;
    }
    if (!strcmp(what, "copy")) for (int byte; (byte = getchar()) != EOF;) putchar(byte);
    if (!strcmp(what, "allocate")) { void *at = malloc(atol(arguments[2])); puts(at ? "allocated" : "refused"); }
    if (!strcmp(what, "fill")) { long size = atol(arguments[2]); memset(malloc(size), 1, size); }
    if (!strcmp(what, "overcommit")) {
        size_t mapped = atol(arguments[2]), written = atol(arguments[3]);
        char *at = mmap(0, mapped, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        for (size_t done = 0; at != MAP_FAILED && done < written; done += 4096) at[done] = 1;
        puts(at == MAP_FAILED ? "refused" : "written");
    }
    return 0;
}
