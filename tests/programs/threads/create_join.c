// Creating and joining threads: arguments, results, errors.
#include "../guest.h"

static void *twice(void *argument)
{
    return (void *)((long)argument * 2);
}

static void *leave_early(void *argument)
{
    pthread_exit(argument);
}

static void *join_self(void *unused)
{
    (void)unused;
    return (void *)(long)pthread_join(pthread_self(), NULL);
}

int main(void)
{
    pthread_t threads[8];
    void *result;
    for (long i = 0; i < 8; i++)
        threads[i] = guest_thread(twice, (void *)i);
    for (int i = 7; i >= 0; i--) {
        pthread_join(threads[i], &result);
        printf("%ld ", (long)result);
    }
    printf("\n");
    SHOW_CODE(pthread_join(guest_thread(leave_early, (void *)5), &result));
    SHOW((long)result);
    SHOW_CODE(pthread_join(guest_thread(join_self, NULL), &result));
    CHECK((long)result == EDEADLK);

    pthread_attr_t attributes;
    size_t size = 0;
    pthread_attr_init(&attributes);
    SHOW_CODE(pthread_attr_setstacksize(&attributes, 1 << 20));
    pthread_t thread;
    SHOW_CODE(pthread_create(&thread, &attributes, twice, (void *)21));
    SHOW_CODE(pthread_getattr_np(thread, &attributes));
    SHOW_CODE(pthread_attr_getstacksize(&attributes, &size));
    CHECK(size == 1 << 20);
    SHOW_CODE(pthread_join(thread, &result));
    SHOW((long)result);
    return guest_status();
}
