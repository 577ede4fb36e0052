// Thread names: set, read back by others, shown in /proc, too long.
#include "../guest.h"
#include <semaphore.h>

static sem_t named, seen;

static void *take_name(void *unused)
{
    (void)unused;
    SHOW_CODE(pthread_setname_np(pthread_self(), "worker"));
    sem_post(&named);
    sem_wait(&seen);
    return NULL;
}

int main(void)
{
    char name[32], path[64];
    sem_init(&named, 0, 0);
    sem_init(&seen, 0, 0);
    SHOW_CODE(pthread_getname_np(pthread_self(), name, sizeof name));
    puts(name);
    pthread_t thread = guest_thread(take_name, NULL);
    sem_wait(&named);
    SHOW_CODE(pthread_getname_np(thread, name, sizeof name));
    puts(name);
    SHOW_CODE(pthread_setname_np(thread, "renamed"));
    SHOW_CODE(pthread_getname_np(thread, name, sizeof name));
    puts(name);
    SHOW_CODE(pthread_setname_np(thread, "sixteen letters!"));
    sem_post(&seen);
    pthread_join(thread, NULL);
    SHOW_CODE(pthread_setname_np(pthread_self(), "main thread"));
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)gettid());
    FILE *file = fopen(path, "r");
    CHECK(file && fgets(name, sizeof name, file));
    printf("%s", name);
    return guest_status();
}
