// /proc/self/stat, statm and status: the fields that libraries read have sensible values.
#include "../guest.h"
#include <semaphore.h>

static sem_t leave;

static void *wait_here(void *unused)
{
    sem_wait(&leave);
    return unused;
}

// The value after a name in /proc/self/status.
static const char *field(const char *name)
{
    static char line[512];
    FILE *file = fopen("/proc/self/status", "r");
    size_t length = strlen(name);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            fclose(file);
            line[strcspn(line, "\n")] = 0;
            return line + length + 1 + strspn(line + length + 1, "\t ");
        }
    }
    return "";
}

int main(void)
{
    char line[2048], name[64] = "", state = 0;
    int pid = 0, parent = 0, threads = 0;
    unsigned long size = 0, virtual_size = 0;
    long resident = 0;
    sem_init(&leave, 0, 0);
    pthread_t thread = guest_thread(wait_here, NULL);
    FILE *file = fopen("/proc/self/stat", "r");
    CHECK(file && fgets(line, sizeof line, file));
    int found = sscanf(line,
                       "%d (%63[^)]) %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
                       "%*d %*d %d %*d %*u %lu %ld",
                       &pid, name, &state, &parent, &threads, &virtual_size, &resident);
    SHOW(found);
    CHECK(pid == getpid() && parent == getppid());
    printf("%s %c %d\n", name, state, threads);
    CHECK(virtual_size > 1 << 20 && resident > 0);
    int fields = 0;
    for (char *word = strtok(strrchr(line, ')') + 1, " \n"); word; word = strtok(NULL, " \n"))
        fields++;
    CHECK(fields >= 50);

    file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu %ld", &size, &resident) == 2 && size > 0 && resident > 0);
    printf("%s\n", field("Name"));
    printf("%s\n", field("State"));
    printf("%s\n", field("Threads"));
    CHECK(atoi(field("Pid")) == getpid() && atoi(field("Tgid")) == getpid());
    CHECK(atoi(field("PPid")) == getppid());
    CHECK((uid_t)atoi(field("Uid")) == getuid() && (gid_t)atoi(field("Gid")) == getgid());
    CHECK(atol(field("VmSize")) > 1000 && atol(field("VmRSS")) > 0);
    CHECK(strlen(field("SigBlk")) == 16);
    CHECK(field("Cpus_allowed_list")[0] != 0);
    sem_post(&leave);
    pthread_join(thread, NULL);
    return guest_status();
}
