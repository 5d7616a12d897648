/* A TCP echo server on Linux, to compare: it reads and writes as examples/echo/c does, in pieces of 16 KiB, and no simpler server is
 * possible: one client at a time, and nothing but accept, read and write. */

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7
#define CHUNK_BYTES (16 << 10)

static int fail(const char *what) {
    perror(what);
    return 1;
}

int main(void) {
    static char chunk[CHUNK_BYTES];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (listener < 0) return fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) return fail("bind");
    if (listen(listener, 16)) return fail("listen");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) return fail("accept");
        ssize_t count;
        while ((count = read(client, chunk, sizeof chunk)) > 0) {
            for (ssize_t sent = 0, now; sent < count; sent += now) {
                now = write(client, chunk + sent, (size_t)(count - sent));
                if (now <= 0) break;
            }
        }
        close(client);
    }
}
