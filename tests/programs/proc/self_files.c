// args: first second
// /proc/self: exe, cwd, root, cmdline, environ, comm and task tell about this program.
#include "../guest.h"
#include <dirent.h>
#include <sys/auxv.h>

static long slurp(const char *path, char *content, size_t size)
{
    int fd = MUST(open(path, O_RDONLY));
    long total = 0, count;
    // Two bytes at a time: offsets within such a file work as in any other.
    while ((count = MUST(read(fd, content + total, 2))) > 0 && (size_t)total + 2 < size)
        total += count;
    MUST(close(fd));
    return total;
}

int main(int argc, char **argv)
{
    static char content[8192], here[4096];
    (void)argc;
    content[MUST(readlink("/proc/self/exe", content, sizeof content))] = 0;
    const char *base = strrchr(argv[0], '/');
    CHECK(strcmp(strrchr(content, '/'), base ? base : argv[0]) == 0);
    puts(strrchr(content, '/') + 1);
    memset(content, 0, sizeof content);
    content[MUST(readlink("/proc/self/cwd", content, sizeof content))] = 0;
    CHECK(getcwd(here, sizeof here) && strcmp(here, content) == 0);
    SHOW(readlink("/proc/self/root", content, sizeof content));

    long length = slurp("/proc/self/cmdline", content, sizeof content);
    CHECK(strcmp(content, argv[0]) == 0);
    char *end = content + length;
    for (char *word = content + strlen(content) + 1; word < end; word += strlen(word) + 1)
        puts(word);
    memset(content, 0, sizeof content);
    length = slurp("/proc/self/environ", content, sizeof content);
    end = content + length;
    for (char *word = content; word < end; word += strlen(word) + 1)
        puts(word);
    memset(content, 0, sizeof content);
    slurp("/proc/self/comm", content, sizeof content);
    printf("%s", content);

    int tasks = 0;
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.') {
            CHECK(atoi(entry->d_name) == getpid());
            tasks++;
        }
    SHOW(tasks);
    char link[32] = "";
    MUST(readlink("/proc/self", link, sizeof link - 1));
    CHECK(atoi(link) == getpid());
    snprintf(content, sizeof content, "/proc/%d/comm", (int)getpid());
    SHOW(access(content, R_OK));
    SHOW(access("/proc/1073741824", F_OK));
    return guest_status();
}
