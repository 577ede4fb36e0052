// What the C servers share: requests out of bytes received, answers into bytes to send. See contract.py.
#ifndef HTTP_H
#define HTTP_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 1 << 20 };

struct buffer {
    char *bytes;
    size_t length, capacity;
};

static void append(struct buffer *to, const void *bytes, size_t length) {
    if (to->length + length + 1 > to->capacity) {
        to->capacity = 2 * (to->length + length + 1);
        to->bytes = realloc(to->bytes, to->capacity);
        if (!to->bytes) abort();
    }
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
    to->bytes[to->length] = 0;
}

static void consume(struct buffer *from, size_t length) {
    from->length -= length;
    memmove(from->bytes, from->bytes + length, from->length + 1);
}

// Who wants the connection closed closes it after the answer.
static void respond(struct buffer *out, int keep, int status, const void *body, size_t length) {
    char head[128];
    int size = snprintf(head, sizeof head, "HTTP/1.1 %d Answer\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n",
                        status, length, keep ? "keep-alive" : "close");
    append(out, head, size);
    append(out, body, length);
}

static void respond_file(struct buffer *out, int keep) {
    static const char text[] = "written by a request";
    char name[256], body[64] = "";
    snprintf(name, sizeof name, "%s/request-XXXXXX", getenv("TMPDIR"));
    int fd = mkstemp(name);
    if (fd < 0 || write(fd, text, sizeof text - 1) < 0 || lseek(fd, 0, SEEK_SET) || read(fd, body, sizeof body) < 0)
        snprintf(body, sizeof body, "failed: %s", strerror(errno));
    unlink(name);
    close(fd);
    strcat(body, ", 0 before");
    respond(out, keep, 200, body, strlen(body));
}

// Answers the first request in `in`, if it is all there; whether it was. The count must be the caller's to add to.
static int answer(struct buffer *in, struct buffer *out) {
    static int counted;
    char *end = in->length ? strstr(in->bytes, "\r\n\r\n") : NULL;
    if (!end) return 0;
    size_t head = end + 4 - in->bytes, length = 0;
    int keep = 1;
    for (char *line = in->bytes; line < end; line = strstr(line, "\r\n") + 2) {
        if (!strncasecmp(line, "content-length:", 15)) length = strtoul(line + 15, NULL, 10);
        if (!strncasecmp(line, "connection: close", 17)) keep = 0;
    }
    if (in->length - head < length) return 0;
    char text[32];
    if (!strncmp(in->bytes, "GET /count ", 11)) {
        respond(out, keep, 200, text, sprintf(text, "%d", __atomic_add_fetch(&counted, 1, __ATOMIC_SEQ_CST)));
    } else if (!strncmp(in->bytes, "POST /echo ", 11)) {
        respond(out, keep, 200, in->bytes + head, length);
    } else if (!strncmp(in->bytes, "GET /large ", 11)) {
        char *large = malloc(LARGE);
        for (int i = 0; i < LARGE; i++) large[i] = "0123456789abcdef"[i % 16];
        respond(out, keep, 200, large, LARGE);
        free(large);
    } else if (!strncmp(in->bytes, "GET /file ", 10)) {
        respond_file(out, keep);
    } else {
        respond(out, keep, 404, "nothing here", 12);
    }
    consume(in, head + length);
    return 1;
}

// A socket that listens on a loopback port of the system's choice.
static int listening(int flags) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) {
        perror("listening");
        exit(1);
    }
    return listener;
}

// Serves one connection with blocking calls, to its end.
__attribute__((unused)) static void serve_blocking(int connection) {
    struct buffer in = {0}, out = {0};
    char data[16384];
    ssize_t got;
    while ((got = read(connection, data, sizeof data)) > 0) {
        append(&in, data, got);
        while (answer(&in, &out)) {}
        for (size_t sent = 0; sent < out.length;) {
            ssize_t size = write(connection, out.bytes + sent, out.length - sent);
            if (size < 0) goto end;
            sent += size;
        }
        out.length = 0;
    }
end:
    free(in.bytes);
    free(out.bytes);
    close(connection);
}
#endif
