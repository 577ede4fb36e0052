// rename, renameat2: replacing, exchanging, and the refusals.
#include "../guest.h"

static void make(const char *name, const char *content)
{
    int fd = MUST(open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644));
    MUST(write(fd, content, strlen(content)));
    MUST(close(fd));
}

static void print(const char *name)
{
    char content[16] = "";
    int fd = open(name, O_RDONLY);
    if (fd >= 0)
        MUST(read(fd, content, sizeof content - 1));
    printf("%s: %s\n", name, fd < 0 ? guest_error_name(errno) : content);
}

int main(void)
{
    make("a", "first");
    make("b", "second");
    SHOW(rename("a", "b"));
    print("a");
    print("b");
    SHOW(rename("a", "c"));
    SHOW(rename("b", "b"));
    make("a", "third");
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    print("a");
    print("b");
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "missing", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 1 << 10));

    MUST(mkdir("full", 0755));
    MUST(mkdir("empty", 0755));
    make("full/inside", "x");
    SHOW(rename("empty", "full"));
    SHOW(rename("a", "full"));
    SHOW(rename("full", "a"));
    SHOW(rename("full", "full/deeper"));
    SHOW(rename("full", "empty"));
    print("empty/inside");
    int directory = MUST(open("empty", O_RDONLY | O_DIRECTORY));
    SHOW(renameat(directory, "inside", AT_FDCWD, "outside"));
    print("outside");
    return guest_status();
}
