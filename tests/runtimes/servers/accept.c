// One thread and blocking calls.
#include "http.h"

int main(void) {
    int listener = listening(0);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection >= 0) serve_blocking(connection);
    }
}
