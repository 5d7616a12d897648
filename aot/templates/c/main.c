#include <stdio.h>

int main(int argc, char **argv) {
    printf("hello from {{name}}\n");
    for (int i = 1; i < argc; i++) printf("argument: %s\n", argv[i]);
    return 0;
}
