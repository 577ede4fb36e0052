// When main's thread ends alone, the others go on; the last one's end is the program's end.
#include "../guest.h"

static pthread_t main_thread;

static void *outlive(void *unused)
{
    (void)unused;
    SHOW_CODE(pthread_join(main_thread, NULL));
    puts("after main");
    CHECK(getpid() != gettid());
    // The thread group leader stays in /proc, as a zombie, until all are gone.
    CHECK(access("/proc/self/stat", R_OK) == 0);
    return NULL;
}

int main(void)
{
    main_thread = pthread_self();
    guest_thread(outlive, NULL);
    puts("main ends");
    pthread_exit((void *)3);
}
