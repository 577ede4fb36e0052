// /proc/cpuinfo, meminfo, stat, uptime, loadavg, sys/kernel, sys/vm: present and plausible.
#include "../guest.h"
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static bool has_line(const char *path, const char *start)
{
    char line[4096];
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, start, strlen(start)) == 0;
    if (file)
        fclose(file);
    return found;
}

static double number(const char *path)
{
    double value = -1;
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%lf", &value) != 1)
        value = -1;
    if (file)
        fclose(file);
    return value;
}

int main(void)
{
    const char *cpuinfo[] = {"processor\t: 0", "vendor_id", "flags", "model name"};
    const char *meminfo[] = {"MemTotal:", "MemFree:", "MemAvailable:", "SwapTotal:"};
    for (int i = 0; i < 4; i++) {
        printf("%s: %d\n", cpuinfo[i], has_line("/proc/cpuinfo", cpuinfo[i]));
        printf("%s %d\n", meminfo[i], has_line("/proc/meminfo", meminfo[i]));
    }
    CHECK(has_line("/proc/stat", "cpu ") && has_line("/proc/stat", "cpu0 "));
    CHECK(has_line("/proc/stat", "btime "));
    CHECK(has_line("/proc/version", "Linux version "));
    CHECK(number("/proc/uptime") > 0);
    CHECK(number("/proc/loadavg") >= 0);
    CHECK(number("/proc/sys/kernel/pid_max") >= 1000);
    CHECK(number("/proc/sys/vm/overcommit_memory") >= 0);
    CHECK(number("/proc/sys/net/core/somaxconn") >= 1);

    struct utsname name;
    char release[128] = "";
    uname(&name);
    FILE *file = fopen("/proc/sys/kernel/osrelease", "r");
    CHECK(file && fscanf(file, "%127s", release) == 1 && strcmp(release, name.release) == 0);
    SHOW(open("/proc/cpuinfo", O_WRONLY | O_CREAT | O_EXCL, 0644));
    SHOW(mkdir("/proc/x", 0755));
    SHOW(access("/proc/missing", F_OK));
    CHECK(has_line("/proc/filesystems", "nodev"));
    CHECK(has_line("/proc/mounts", "") && has_line("/proc/self/mountinfo", ""));
    return guest_status();
}
