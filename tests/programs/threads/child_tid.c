// CLONE_CHILD_CLEARTID: the word that set_tid_address names is zeroed and woken when a thread ends.
#include "../guest.h"
#include <linux/futex.h>

static atomic_int word;

static void *register_word(void *unused)
{
    (void)unused;
    atomic_store(&word, gettid());
    // libc waits on a word of its own to join this thread, so it must not be joined.
    CHECK(syscall(SYS_set_tid_address, &word) == gettid());
    return NULL;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_store(&word, -1);
    if (pthread_create(&thread, &attributes, register_word, NULL) != 0)
        return 99;
    int seen;
    while ((seen = atomic_load(&word)) != 0)
        syscall(SYS_futex, &word, FUTEX_WAIT, seen, NULL, NULL, 0);
    SHOW(word);
    return guest_status();
}
