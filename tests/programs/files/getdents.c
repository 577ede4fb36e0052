// getdents64: every entry once with its type, rewinding, small buffers, not a directory.
#include "../guest.h"
#include <dirent.h>

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

// Reads everything through a buffer that holds only a few entries, and prints it in order.
static void list(int directory)
{
    char buffer[128], *lines[64];
    int count = 0;
    long length;
    while ((length = MUST(syscall(SYS_getdents64, directory, buffer, sizeof buffer))) > 0) {
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(buffer + at);
            MUST(asprintf(&lines[count++], "%s type=%d", entry->d_name, entry->d_type));
            at += entry->d_reclen;
        }
    }
    qsort(lines, count, sizeof *lines, compare);
    for (int i = 0; i < count; i++)
        puts(lines[i]);
}

int main(void)
{
    char name[16], buffer[16];
    MUST(mkdir("d", 0755));
    int directory = MUST(open("d", O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "file%d", i);
        MUST(close(MUST(openat(directory, name, O_CREAT | O_WRONLY, 0644))));
    }
    MUST(mkdirat(directory, "sub", 0755));
    MUST(symlinkat("file0", directory, "link"));
    list(directory);
    SHOW(syscall(SYS_getdents64, directory, buffer, sizeof buffer));
    SHOW(lseek(directory, 0, SEEK_SET));
    SHOW(syscall(SYS_getdents64, directory, buffer, sizeof buffer));
    MUST(unlinkat(directory, "file3", 0));
    SHOW(lseek(directory, 0, SEEK_SET));
    list(directory);

    SHOW(syscall(SYS_getdents64, 99, buffer, sizeof buffer));
    int file = MUST(openat(directory, "file0", O_RDONLY));
    SHOW(syscall(SYS_getdents64, file, buffer, sizeof buffer));
    SHOW(lseek(directory, 0, SEEK_SET));
    SHOW(syscall(SYS_getdents64, directory, guest_bad_pointer(), 4096));
    return guest_status();
}
