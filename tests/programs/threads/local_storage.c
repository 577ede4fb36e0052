// Thread-local variables and keys: separate values, initial values, destructors.
#include "../guest.h"

static __thread int number = 7;
static __thread char text[32];
static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value)
{
    atomic_fetch_add(&destroyed, (int)(long)value);
}

static void *use(void *argument)
{
    long mine = (long)argument;
    bool fresh = number == 7 && text[0] == 0 && pthread_getspecific(key) == NULL;
    number += (int)mine;
    snprintf(text, sizeof text, "thread %ld", mine);
    pthread_setspecific(key, argument);
    for (int i = 0; i < 10; i++)
        sched_yield();
    bool kept = number == 7 + mine && text[7] == '0' + mine && pthread_getspecific(key) == argument;
    return (void *)(long)(fresh && kept);
}

int main(void)
{
    pthread_t threads[4];
    void *good;
    pthread_key_create(&key, destroy);
    for (long i = 0; i < 4; i++)
        threads[i] = guest_thread(use, (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &good);
        SHOW((long)good);
    }
    SHOW(destroyed);
    SHOW(number);
    // errno is one of them.
    errno = 0;
    close(-1);
    CHECK(errno == EBADF);
    return guest_status();
}
