// Signals that are ignored by default do nothing, wherever they come from.
#include "../guest.h"

int main(void)
{
    int ignored[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (int i = 0; i < 4; i++) {
        SHOW(raise(ignored[i]));
        SHOW(kill(getpid(), ignored[i]));
    }
    // Ignored explicitly, these do nothing either.
    int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGUSR1, SIGALRM, SIGRTMIN};
    for (int i = 0; i < 8; i++) {
        signal(fatal[i], SIG_IGN);
        SHOW(raise(fatal[i]));
    }
    return guest_status();
}
