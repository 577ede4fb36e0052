// Threads share descriptors, the working directory, the umask, memory and signal actions.
#include "../guest.h"

static int opened;
static char *mapped;

static void handler(int signal_number)
{
    (void)signal_number;
}

static void *change(void *unused)
{
    (void)unused;
    MUST(mkdir("inside", 0755));
    MUST(chdir("inside"));
    umask(0777);
    opened = MUST(open("file", O_CREAT | O_RDWR, 0777));
    mapped = guest_map(4096, PROT_READ | PROT_WRITE);
    strcpy(mapped, "from the thread");
    guest_handle(SIGUSR1, handler, 0);
    return NULL;
}

int main(void)
{
    struct stat status;
    umask(0);
    pthread_join(guest_thread(change, NULL), NULL);
    SHOW(access("file", F_OK));
    SHOW(write(opened, "x", 1));
    MUST(fstat(opened, &status));
    printf("mode=%o\n", status.st_mode & 0777);
    printf("umask=%o\n", umask(0));
    puts(mapped);
    SHOW(raise(SIGUSR1));
    SHOW(close(opened));
    return guest_status();
}
