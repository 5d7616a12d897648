/* The hello app in C: plain C and POSIX over wasi-libc, which speaks WASI preview 1. What it prints, and why, is in ../README.md. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* 2024-01-01T00:00:00Z in seconds since the Unix epoch: any clock that is set at all is past it. */
#define YEAR_2024 1704067200
/* How often the monotonic clock is read to see that it never goes back. */
#define MONOTONIC_READINGS 100
#define LINE_BYTES 256

static const char NOTE[] = "written by hello\n";

/* Reads the first line of the file at `path`, without its line feed, into `line`. */
static bool first_line(const char *path, char line[LINE_BYTES]) {
    FILE *file = fopen(path, "r");
    if (!file) return false;
    bool read = fgets(line, LINE_BYTES, file) != NULL;
    fclose(file);
    if (read) line[strcspn(line, "\n")] = '\0';
    return read;
}

static bool wall_clock_is_set(void) {
    struct timespec now;
    return clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec > YEAR_2024;
}

static bool monotonic_clock_never_goes_back(void) {
    struct timespec before = {0, 0}, now;
    for (int i = 0; i < MONOTONIC_READINGS; i++) {
        if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return false;
        if (now.tv_sec < before.tv_sec || (now.tv_sec == before.tv_sec && now.tv_nsec < before.tv_nsec)) return false;
        before = now;
    }
    return true;
}

static bool random_bytes_differ(void) {
    unsigned char first[16], second[16];
    return getentropy(first, sizeof first) == 0 && getentropy(second, sizeof second) == 0 &&
           memcmp(first, second, sizeof first) != 0;
}

static bool tmp_keeps_a_note(void) {
    FILE *file = fopen("/tmp/note.txt", "w");
    if (!file) return false;
    bool written = fputs(NOTE, file) >= 0;
    if (fclose(file) != 0 || !written) return false;

    char found[sizeof NOTE + 1];
    file = fopen("/tmp/note.txt", "r");
    if (!file) return false;
    size_t length = fread(found, 1, sizeof found, file);
    fclose(file);
    return length == strlen(NOTE) && memcmp(found, NOTE, length) == 0;
}

static const char *verdict(bool ok) { return ok ? "ok" : "wrong"; }

int main(int argc, char **argv) {
    puts("hello, component");
    for (int i = 1; i < argc; i++) printf("argument: %s\n", argv[i]);
    const char *greeting = getenv("GREETING");
    printf("greeting: %s\n", greeting ? greeting : "unset");
    char line[LINE_BYTES];
    printf("site: %s\n", first_line("/site/hello.txt", line) ? line : "no file");
    printf("clock %s\n", verdict(wall_clock_is_set()));
    printf("monotonic %s\n", verdict(monotonic_clock_never_goes_back()));
    printf("random %s\n", verdict(random_bytes_differ()));
    printf("tmp %s\n", verdict(tmp_keeps_a_note()));
    fflush(stdout);
    fputs("hello: done\n", stderr);
    const char *code = getenv("EXIT_CODE");
    exit(code ? atoi(code) : 0);
}
