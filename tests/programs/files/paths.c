// Path resolution: dots, slashes, limits of length, directory descriptors.
#include "../guest.h"

int main(void)
{
    static char name[300], path[5000];
    MUST(mkdir("d", 0755));
    MUST(mkdir("d/e", 0755));
    MUST(close(MUST(open("d/file", O_CREAT | O_WRONLY, 0644))));
    SHOW(access("d/../d/./e/..//file", F_OK));
    SHOW(access("./././d///file", F_OK));
    SHOW(access("d/file/.", F_OK));
    SHOW(access("d/e/", F_OK));
    SHOW(access("/../../..", F_OK));

    memset(name, 'n', 255);
    SHOW(access(name, F_OK));
    SHOW(close(MUST(open(name, O_CREAT | O_WRONLY, 0644))));
    name[255] = 'n';
    SHOW(access(name, F_OK));
    for (int i = 0; i < 4094; i += 2)
        memcpy(path + i, "./", 2);
    SHOW(access(path, F_OK));
    path[4094] = '.';
    SHOW(access(path, F_OK));
    path[4095] = '/';
    SHOW(access(path, F_OK));

    int d = MUST(open("d", O_PATH | O_DIRECTORY));
    SHOW(faccessat(d, "file", F_OK, 0));
    SHOW(faccessat(d, "../d/file", F_OK, 0));
    MUST(rename("d", "moved"));
    SHOW(faccessat(d, "file", F_OK, 0));
    SHOW(faccessat(d, "", F_OK, 0));
    // An absolute path does not look at the directory descriptor.
    SHOW(faccessat(99, "/", F_OK, 0));
    MUST(symlink("moved/e", "s"));
    SHOW(access("s/../file", F_OK));
    return guest_status();
}
