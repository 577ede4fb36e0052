// stdin: first line\nsecond line\nlast
// Standard input to its end through libc, then the raw end of file.
#include "../guest.h"

int main(void)
{
    char line[64], byte;
    int number = 0;
    while (fgets(line, sizeof line, stdin))
        printf("%d: %s%s", ++number, line, strchr(line, '\n') ? "" : "<no newline>\n");
    CHECK(feof(stdin));
    SHOW(read(0, &byte, 1));
    SHOW(write(2, "", 0));
    fprintf(stderr, "to stderr\n");
    return guest_status();
}
