/* A TCP echo server in C, on bindings that wit-bindgen makes of wit/world.wit. What it does is in ../README.md.
 *
 * One loop waits for everything at once (wasi:io/poll): for the listener, and for each client either that it has sent something or that
 * it takes something, never both. So a client that does not read is not read from, and no more than one chunk of its is in memory. */

#include <stdio.h>
#include <stdlib.h>

#include "echo.h"

#define DEFAULT_PORT 7
/* The most clients at once. Further ones wait in the listener's backlog. */
#define MAX_CLIENTS 256
/* The most of a client's bytes that are in memory. */
#define CHUNK_BYTES (16 << 10)

typedef wasi_io_streams_borrow_input_stream_t input_t;
typedef wasi_io_streams_borrow_output_stream_t output_t;

/* A connection; `chunk` from `sent` on was read and not written yet. */
typedef struct {
    wasi_sockets_tcp_own_tcp_socket_t socket;
    wasi_io_streams_own_input_stream_t input;
    wasi_io_streams_own_output_stream_t output;
    wasi_io_poll_own_pollable_t readable, writable;
    echo_list_u8_t chunk;
    size_t sent;
    /* The client has said all: what is left is written, and that is the end. */
    bool ended;
} client_t;

static client_t clients[MAX_CLIENTS];
static size_t client_count;

static void fail(const char *what, wasi_sockets_network_error_code_t code) {
    fprintf(stderr, "echo: cannot %s: error %d of wasi:sockets\n", what, (int)code);
    exit(1);
}

/* A socket that listens on all addresses of the machine. */
static wasi_sockets_tcp_own_tcp_socket_t listen_on(uint16_t port) {
    wasi_sockets_tcp_error_code_t code;
    wasi_sockets_tcp_own_tcp_socket_t socket;
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4, &socket, &code))
        fail("make a socket", code);
    wasi_sockets_tcp_borrow_tcp_socket_t listener = wasi_sockets_tcp_borrow_tcp_socket(socket);
    wasi_sockets_tcp_own_pollable_t done = wasi_sockets_tcp_method_tcp_socket_subscribe(listener);
    wasi_io_poll_borrow_pollable_t wait = wasi_io_poll_borrow_pollable(done);

    wasi_sockets_instance_network_own_network_t network = wasi_sockets_instance_network_instance_network();
    wasi_sockets_tcp_ip_socket_address_t address = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    address.val.ipv4.port = port;
    if (!wasi_sockets_tcp_method_tcp_socket_start_bind(
            listener, wasi_sockets_network_borrow_network(network), &address, &code))
        fail("bind", code);
    while (!wasi_sockets_tcp_method_tcp_socket_finish_bind(listener, &code)) {
        if (code != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) fail("bind", code);
        wasi_io_poll_method_pollable_block(wait);
    }
    if (!wasi_sockets_tcp_method_tcp_socket_start_listen(listener, &code)) fail("listen", code);
    while (!wasi_sockets_tcp_method_tcp_socket_finish_listen(listener, &code)) {
        if (code != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) fail("listen", code);
        wasi_io_poll_method_pollable_block(wait);
    }
    wasi_sockets_network_network_drop_own(network);
    wasi_io_poll_pollable_drop_own(done);
    return socket;
}

/* Takes the clients that are waiting, as far as there is room. */
static void accept_from(wasi_sockets_tcp_borrow_tcp_socket_t listener) {
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t accepted;
    wasi_sockets_tcp_error_code_t code;
    while (client_count < MAX_CLIENTS && wasi_sockets_tcp_method_tcp_socket_accept(listener, &accepted, &code)) {
        client_t client = {.socket = accepted.f0, .input = accepted.f1, .output = accepted.f2};
        client.readable =
            wasi_io_streams_method_input_stream_subscribe(wasi_io_streams_borrow_input_stream(client.input));
        client.writable =
            wasi_io_streams_method_output_stream_subscribe(wasi_io_streams_borrow_output_stream(client.output));
        clients[client_count++] = client;
    }
}

/* Reads what the client has sent; false when the connection is broken. */
static bool read_chunk(client_t *client) {
    input_t input = wasi_io_streams_borrow_input_stream(client->input);
    wasi_io_streams_stream_error_t error;
    if (wasi_io_streams_method_input_stream_read(input, CHUNK_BYTES, &client->chunk, &error)) {
        client->sent = 0;
        return true;
    }
    client->ended = error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
    wasi_io_streams_stream_error_free(&error);
    return client->ended;
}

/* Writes as much of the chunk as the client takes; false when the connection is broken. */
static bool write_chunk(client_t *client) {
    output_t output = wasi_io_streams_borrow_output_stream(client->output);
    wasi_io_streams_stream_error_t error;
    uint64_t room;
    if (!wasi_io_streams_method_output_stream_check_write(output, &room, &error)) {
        wasi_io_streams_stream_error_free(&error);
        return false;
    }
    echo_list_u8_t piece = {.ptr = client->chunk.ptr + client->sent, .len = client->chunk.len - client->sent};
    if (piece.len > room) piece.len = (size_t)room;
    if (piece.len == 0) return true;
    if (!wasi_io_streams_method_output_stream_write(output, &piece, &error)
        || !wasi_io_streams_method_output_stream_flush(output, &error)) {
        wasi_io_streams_stream_error_free(&error);
        return false;
    }
    client->sent += piece.len;
    if (client->sent == client->chunk.len) {
        echo_list_u8_free(&client->chunk);
        client->chunk.len = client->sent = 0;
    }
    return true;
}

/* Closes a connection. Streams and what waits for them go before what they belong to. */
static void drop(client_t *client) {
    echo_list_u8_free(&client->chunk);
    wasi_io_poll_pollable_drop_own(client->readable);
    wasi_io_poll_pollable_drop_own(client->writable);
    wasi_io_streams_input_stream_drop_own(client->input);
    wasi_io_streams_output_stream_drop_own(client->output);
    wasi_sockets_tcp_tcp_socket_drop_own(client->socket);
}

/* Goes on with a client that is ready; false when it is done with. */
static bool go_on(client_t *client) {
    bool has_chunk = client->chunk.len > 0;
    return (has_chunk ? write_chunk(client) : read_chunk(client)) && (client->chunk.len > 0 || !client->ended);
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : DEFAULT_PORT;
    if (port < 1 || port > 65535) {
        fprintf(stderr, "echo: wanted a port from 1 to 65535, found '%s'\n", argv[1]);
        return 2;
    }
    wasi_sockets_tcp_own_tcp_socket_t socket = listen_on((uint16_t)port);
    wasi_sockets_tcp_borrow_tcp_socket_t listener = wasi_sockets_tcp_borrow_tcp_socket(socket);
    wasi_sockets_tcp_own_pollable_t incoming = wasi_sockets_tcp_method_tcp_socket_subscribe(listener);
    printf("echo: listening on port %d\n", port);
    fflush(stdout);

    for (;;) {
        wasi_io_poll_borrow_pollable_t waiting[MAX_CLIENTS + 1];
        size_t count = client_count;
        for (size_t i = 0; i < count; i++) {
            bool has_chunk = clients[i].chunk.len > 0;
            waiting[i] = wasi_io_poll_borrow_pollable(has_chunk ? clients[i].writable : clients[i].readable);
        }
        bool has_room = count < MAX_CLIENTS;
        if (has_room) waiting[count] = wasi_io_poll_borrow_pollable(incoming);
        wasi_io_poll_list_borrow_pollable_t list = {.ptr = waiting, .len = count + has_room};
        echo_list_u32_t ready;
        wasi_io_poll_poll(&list, &ready);

        bool done[MAX_CLIENTS] = {false};
        bool is_incoming = false;
        for (size_t i = 0; i < ready.len; i++) {
            size_t index = ready.ptr[i];
            if (index < count) done[index] = !go_on(&clients[index]);
            else is_incoming = true;
        }
        echo_list_u32_free(&ready);
        /* From the last to the first, so that the one that takes a freed place has been looked at. */
        for (size_t i = count; i-- > 0;) {
            if (!done[i]) continue;
            drop(&clients[i]);
            clients[i] = clients[--client_count];
        }
        if (is_incoming) accept_from(listener);
    }
}
