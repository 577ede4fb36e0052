// uname: a Linux on x86-64 with a version that glibc accepts.
#include "../guest.h"
#include <sys/utsname.h>

int main(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    char host[256];
    SHOW(uname(&name));
    puts(name.sysname);
    puts(name.machine);
    SHOW(sscanf(name.release, "%d.%d", &major, &minor));
    CHECK(major >= 4);
    CHECK(name.version[0] == '#');
    MUST(gethostname(host, sizeof host));
    CHECK(strcmp(host, name.nodename) == 0);
    SHOW(uname(guest_bad_pointer()));
    return guest_status();
}
