// prctl: thread name, dumpable, no-new-privileges, parent-death signal, refusals.
#include "../guest.h"
#include <sys/prctl.h>

static void *thread(void *unused)
{
    char name[16] = "";
    (void)unused;
    // A thread starts with its creator's name and then has its own.
    MUST(prctl(PR_GET_NAME, name));
    puts(name);
    MUST(prctl(PR_SET_NAME, "other"));
    MUST(prctl(PR_GET_NAME, name));
    puts(name);
    return NULL;
}

int main(void)
{
    char name[17] = "";
    MUST(prctl(PR_GET_NAME, name));
    puts(name);
    SHOW(prctl(PR_SET_NAME, "a name that is too long"));
    MUST(prctl(PR_GET_NAME, name));
    puts(name);
    pthread_join(guest_thread(thread, NULL), NULL);
    MUST(prctl(PR_GET_NAME, name));
    puts(name);

    SHOW(prctl(PR_SET_DUMPABLE, 0));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 1));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 5));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int signal_number = -1;
    SHOW(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    SHOW(prctl(PR_GET_PDEATHSIG, &signal_number));
    CHECK(signal_number == SIGUSR1);
    SHOW(prctl(PR_SET_PDEATHSIG, 999));
    SHOW(prctl(PR_SET_TIMERSLACK, 1000));
    SHOW(prctl(PR_GET_TIMERSLACK));
    SHOW(prctl(PR_SET_NAME, guest_bad_pointer()));
    SHOW(prctl(9999, 0));
    return guest_status();
}
