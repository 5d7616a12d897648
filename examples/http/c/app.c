/* An HTTP handler in C, on bindings that wit-bindgen makes of wit/world.wit. What it answers is in ../README.md.
 *
 * Every answer is a head, then a body that is written piece by piece; a client that goes away ends the writing and nothing else. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

/* The most that is moved at a time, in bytes: what a stream takes at once (wasi:io/streams, blocking-write-and-flush). */
#define CHUNK_BYTES 4096
/* The most that /bytes/N gives. */
#define MAX_BYTES (UINT64_C(1) << 30)
#define ALPHABET "abcdefghijklmnopqrstuvwxyz"

typedef wasi_http_types_borrow_incoming_request_t request_t;
typedef wasi_http_types_tuple2_field_name_field_value_t field_t;
typedef wasi_http_types_list_tuple2_field_name_field_value_t fields_t;

/* A body that is being written; `body` is open for as long as the answer is. */
typedef struct {
    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
    bool open;
} answer_t;

static field_t field(const char *name, const uint8_t *value, size_t length) {
    field_t field;
    http_string_set(&field.f0, name);
    field.f1.ptr = (uint8_t *)value;
    field.f1.len = length;
    return field;
}

static field_t text_field(const char *name, const char *value) {
    return field(name, (const uint8_t *)value, strlen(value));
}

/* Sends the head of an answer. */
static answer_t begin(wasi_http_types_own_response_outparam_t out, uint16_t status, field_t *fields, size_t count) {
    answer_t answer = {.open = false};
    fields_t list = {.ptr = fields, .len = count};
    wasi_http_types_own_fields_t head;
    wasi_http_types_header_error_t refused;
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = true};
    if (!wasi_http_types_static_fields_from_list(&list, &head, &refused)) {
        /* The client sent a content-type that may not be sent back. */
        wasi_http_types_header_error_free(&refused);
        result.val.err.tag = WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR;
        result.val.err.val.internal_error.is_some = false;
        wasi_http_types_static_response_outparam_set(out, &result);
        return answer;
    }
    wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(head);
    wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(response);
    wasi_http_types_method_outgoing_response_set_status_code(borrowed, status);
    answer.open = wasi_http_types_method_outgoing_response_body(borrowed, &answer.body);
    result.is_err = false;
    result.val.ok = response;
    wasi_http_types_static_response_outparam_set(out, &result);
    answer.open = answer.open
        && wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(answer.body), &answer.stream);
    return answer;
}

/* Writes a piece of the body; false when nobody takes it any more. */
static bool write_piece(answer_t *answer, const uint8_t *bytes, size_t length) {
    while (length > 0 && answer->open) {
        size_t now = length < CHUNK_BYTES ? length : CHUNK_BYTES;
        http_list_u8_t piece = {.ptr = (uint8_t *)bytes, .len = now};
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(
                wasi_io_streams_borrow_output_stream(answer->stream), &piece, &error)) {
            wasi_io_streams_stream_error_free(&error);
            return false;
        }
        bytes += now;
        length -= now;
    }
    return answer->open;
}

static void end(answer_t *answer) {
    if (!answer->open) return;
    wasi_io_streams_output_stream_drop_own(answer->stream);
    wasi_http_types_error_code_t error;
    if (!wasi_http_types_static_outgoing_body_finish(answer->body, NULL, &error))
        wasi_http_types_error_code_free(&error);
}

static void send_text(wasi_http_types_own_response_outparam_t out, uint16_t status, field_t more, const char *text) {
    field_t fields[] = {text_field("content-type", "text/plain"), more};
    answer_t answer = begin(out, status, fields, more.f0.ptr == NULL ? 1 : 2);
    write_piece(&answer, (const uint8_t *)text, strlen(text));
    end(&answer);
}

static const field_t NO_FIELD;

/* POST /echo */
static void echo(request_t request, wasi_http_types_own_response_outparam_t out) {
    wasi_http_types_own_headers_t headers = wasi_http_types_method_incoming_request_headers(request);
    http_string_t name;
    http_string_set(&name, "content-type");
    wasi_http_types_list_field_value_t types;
    wasi_http_types_method_fields_get(wasi_http_types_borrow_fields(headers), &name, &types);
    field_t type = text_field("content-type", "application/octet-stream");
    if (types.len > 0) type.f1 = types.ptr[0];
    answer_t answer = begin(out, 200, &type, 1);
    wasi_http_types_list_field_value_free(&types);
    wasi_http_types_fields_drop_own(headers);

    wasi_http_types_own_incoming_body_t body;
    if (wasi_http_types_method_incoming_request_consume(request, &body)) {
        wasi_io_streams_own_input_stream_t stream;
        if (wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream)) {
            http_list_u8_t piece;
            wasi_io_streams_stream_error_t ended;
            bool taken = true;
            while (taken
                   && wasi_io_streams_method_input_stream_blocking_read(
                       wasi_io_streams_borrow_input_stream(stream), CHUNK_BYTES, &piece, &ended)) {
                taken = write_piece(&answer, piece.ptr, piece.len);
                http_list_u8_free(&piece);
            }
            if (taken) wasi_io_streams_stream_error_free(&ended);
            wasi_io_streams_input_stream_drop_own(stream);
        }
        wasi_http_types_future_trailers_drop_own(wasi_http_types_static_incoming_body_finish(body));
    }
    end(&answer);
}

/* Hosts may give the names of fields as they were sent. */
static void to_lower_case(http_string_t *name) {
    for (size_t i = 0; i < name->len; i++)
        if (name->ptr[i] >= 'A' && name->ptr[i] <= 'Z') name->ptr[i] |= 0x20;
}

static int by_name(const void *one, const void *other) {
    const field_t *a = one, *b = other;
    size_t shorter = a->f0.len < b->f0.len ? a->f0.len : b->f0.len;
    int order = memcmp(a->f0.ptr, b->f0.ptr, shorter);
    return order != 0 ? order : (a->f0.len > b->f0.len) - (a->f0.len < b->f0.len);
}

/* GET /headers */
static void headers(request_t request, wasi_http_types_own_response_outparam_t out) {
    wasi_http_types_own_headers_t headers = wasi_http_types_method_incoming_request_headers(request);
    fields_t entries;
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(headers), &entries);
    wasi_http_types_fields_drop_own(headers);
    for (size_t i = 0; i < entries.len; i++) to_lower_case(&entries.ptr[i].f0);
    qsort(entries.ptr, entries.len, sizeof *entries.ptr, by_name);
    field_t fields[] = {text_field("content-type", "text/plain"), text_field("x-answer", "yes")};
    answer_t answer = begin(out, 200, fields, 2);
    for (size_t i = 0; i < entries.len; i++) {
        const field_t *entry = &entries.ptr[i];
        if (entry->f0.len < 2 || memcmp(entry->f0.ptr, "x-", 2) != 0) continue;
        write_piece(&answer, entry->f0.ptr, entry->f0.len);
        write_piece(&answer, (const uint8_t *)": ", 2);
        write_piece(&answer, entry->f1.ptr, entry->f1.len);
        write_piece(&answer, (const uint8_t *)"\n", 1);
    }
    wasi_http_types_list_tuple2_field_name_field_value_free(&entries);
    end(&answer);
}

/* GET /bytes/N */
static void bytes(uint64_t count, wasi_http_types_own_response_outparam_t out) {
    /* As many alphabets as fit: every piece starts with an 'a'. */
    static uint8_t piece[CHUNK_BYTES / 26 * 26];
    for (size_t i = 0; i < sizeof piece; i++) piece[i] = (uint8_t)ALPHABET[i % 26];
    field_t type = text_field("content-type", "text/plain");
    answer_t answer = begin(out, 200, &type, 1);
    while (count > 0) {
        size_t now = count < sizeof piece ? (size_t)count : sizeof piece;
        if (!write_piece(&answer, piece, now)) break;
        count -= now;
    }
    end(&answer);
}

/* Whether `path` is /bytes/N; then N is stored in `count`. */
static bool is_bytes(http_string_t path, uint64_t *count) {
    static const char PREFIX[] = "/bytes/";
    size_t prefix = sizeof PREFIX - 1;
    if (path.len <= prefix || path.len > prefix + 10 || memcmp(path.ptr, PREFIX, prefix) != 0) return false;
    *count = 0;
    for (size_t i = prefix; i < path.len; i++) {
        if (path.ptr[i] < '0' || path.ptr[i] > '9') return false;
        *count = *count * 10 + (path.ptr[i] - '0');
    }
    return *count <= MAX_BYTES;
}

static bool is(http_string_t path, const char *wanted) {
    return path.len == strlen(wanted) && memcmp(path.ptr, wanted, path.len) == 0;
}

void exports_wasi_http_incoming_handler_handle(
    exports_wasi_http_incoming_handler_own_incoming_request_t owned,
    exports_wasi_http_incoming_handler_own_response_outparam_t out) {
    request_t request = wasi_http_types_borrow_incoming_request(owned);
    wasi_http_types_method_t method;
    wasi_http_types_method_incoming_request_method(request, &method);
    http_string_t target;
    if (!wasi_http_types_method_incoming_request_path_with_query(request, &target)) http_string_dup(&target, "/");
    const void *query = memchr(target.ptr, '?', target.len);
    http_string_t path = {.ptr = target.ptr, .len = query ? (size_t)((const uint8_t *)query - target.ptr) : target.len};
    uint64_t count;
    if (is(path, "/")) {
        send_text(out, 200, NO_FIELD, "hello over HTTP\n");
    } else if (is(path, "/echo") && method.tag == WASI_HTTP_TYPES_METHOD_POST) {
        echo(request, out);
    } else if (is(path, "/echo")) {
        send_text(out, 405, text_field("allow", "POST"), "method not allowed\n");
    } else if (is(path, "/headers")) {
        headers(request, out);
    } else if (is_bytes(path, &count)) {
        bytes(count, out);
    } else {
        send_text(out, 404, NO_FIELD, "not found\n");
    }
    http_string_free(&target);
    wasi_http_types_method_free(&method);
    wasi_http_types_incoming_request_drop_own(owned);
}
