// A thread for each connection.
#include <pthread.h>

#include "http.h"

static void *serve(void *connection) {
    serve_blocking((int)(long)connection);
    return NULL;
}

int main(void) {
    int listener = listening(0);
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) continue;
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, (void *)(long)connection)) close(connection);
        else pthread_detach(thread);
    }
}
