// Package export_wasi_http_incoming_handler is an HTTP handler in Go, on bindings that wit-bindgen makes of ../wit/world.wit; they find it by
// this name. What it answers is in ../../README.md.
package export_wasi_http_incoming_handler

import (
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"

	wit "go.bytecodealliance.org/pkg/wit/types"
	http "wit_component/wasi_http_types"
	streams "wit_component/wasi_io_streams"
)

const (
	// The most that is moved at a time, in bytes: what a stream takes at once (wasi:io/streams, blocking-write-and-flush).
	chunkBytes = 4096
	// The most that /bytes/N gives.
	maxBytes = 1 << 30
	alphabet = "abcdefghijklmnopqrstuvwxyz"
	// Garbage is collected once in so many steps; a step is a request, or a piece of a body.
	stepsOfGarbage = 256
)

var steps = 0

// The collector asks for the time, and what an import returns is allocated while no import may be called: a collection that began there
// would end the app. So it begins where the app says.
func init() {
	debug.SetGCPercent(-1)
}

func step() {
	if steps++; steps%stepsOfGarbage == 0 {
		runtime.GC()
	}
}

type field = wit.Tuple2[string, []uint8]

func textField(name, value string) field {
	return field{F0: name, F1: []uint8(value)}
}

// Handle answers one request.
func Handle(request *http.IncomingRequest, out *http.ResponseOutparam) {
	step()
	path, _, _ := strings.Cut(request.PathWithQuery().SomeOr("/"), "?")
	switch count, isBytes := bytesPath(path); {
	case path == "/":
		sendText(out, 200, "hello over HTTP\n")
	case path == "/echo" && request.Method().Tag() == http.Method_Post:
		echo(request, out)
	case path == "/echo":
		sendText(out, 405, "method not allowed\n", textField("allow", "POST"))
	case path == "/headers":
		headers(request, out)
	case isBytes:
		bytes(count, out)
	default:
		sendText(out, 404, "not found\n")
	}
	request.Drop()
}

// bytesPath says whether a path is /bytes/N, and N.
func bytesPath(path string) (uint64, bool) {
	digits, found := strings.CutPrefix(path, "/bytes/")
	count, err := strconv.ParseUint(digits, 10, 64)
	return count, found && err == nil && count <= maxBytes
}

// An answer is a body that is being written.
type answer struct {
	body   *http.OutgoingBody
	stream *streams.OutputStream
}

// begin sends the head of an answer. It returns nil where the fields may not be sent, which ends the answer with an error.
func begin(out *http.ResponseOutparam, status uint16, fields ...field) *answer {
	head := http.FieldsFromList(fields)
	if head.IsErr() {
		refused := http.MakeErrorCodeInternalError(wit.None[string]())
		http.ResponseOutparamSet(out, wit.Err[*http.OutgoingResponse](refused))
		return nil
	}
	response := http.MakeOutgoingResponse(head.Ok())
	response.SetStatusCode(status)
	body := response.Body().Ok()
	http.ResponseOutparamSet(out, wit.Ok[*http.OutgoingResponse, http.ErrorCode](response))
	return &answer{body: body, stream: body.Write().Ok()}
}

// write writes a piece of the body. It returns false when nobody takes it any more.
func (a *answer) write(bytes []uint8) bool {
	for len(bytes) > 0 {
		now := min(len(bytes), chunkBytes)
		if a.stream.BlockingWriteAndFlush(bytes[:now]).IsErr() {
			return false
		}
		bytes = bytes[now:]
	}
	return true
}

func (a *answer) end() {
	a.stream.Drop()
	// A client that went away is no concern of the app's.
	http.OutgoingBodyFinish(a.body, wit.None[*http.Fields]())
}

func sendText(out *http.ResponseOutparam, status uint16, text string, more ...field) {
	if answer := begin(out, status, append([]field{textField("content-type", "text/plain")}, more...)...); answer != nil {
		answer.write([]uint8(text))
		answer.end()
	}
}

func echo(request *http.IncomingRequest, out *http.ResponseOutparam) {
	requestHeaders := request.Headers()
	kind := textField("content-type", "application/octet-stream")
	if given := requestHeaders.Get("content-type"); len(given) > 0 {
		kind.F1 = given[0]
	}
	requestHeaders.Drop()
	answer := begin(out, 200, kind)
	if answer == nil {
		return
	}
	body := request.Consume().Ok()
	stream := body.Stream().Ok()
	for {
		step()
		piece := stream.BlockingRead(chunkBytes)
		if piece.IsErr() || !answer.write(piece.Ok()) {
			break
		}
	}
	stream.Drop()
	http.IncomingBodyFinish(body).Drop()
	answer.end()
}

func headers(request *http.IncomingRequest, out *http.ResponseOutparam) {
	requestHeaders := request.Headers()
	entries := requestHeaders.Entries()
	requestHeaders.Drop()
	// Hosts may give the names of fields as they were sent.
	for i := range entries {
		entries[i].F0 = strings.ToLower(entries[i].F0)
	}
	sort.SliceStable(entries, func(a, b int) bool { return entries[a].F0 < entries[b].F0 })
	var text strings.Builder
	for _, entry := range entries {
		if strings.HasPrefix(entry.F0, "x-") {
			text.WriteString(entry.F0 + ": " + string(entry.F1) + "\n")
		}
	}
	sendText(out, 200, text.String(), textField("x-answer", "yes"))
}

func bytes(count uint64, out *http.ResponseOutparam) {
	// As many alphabets as fit: every piece starts with an 'a'.
	piece := []uint8(strings.Repeat(alphabet, chunkBytes/len(alphabet)))
	answer := begin(out, 200, textField("content-type", "text/plain"))
	for count > 0 {
		now := min(count, uint64(len(piece)))
		if !answer.write(piece[:now]) {
			break
		}
		count -= now
	}
	answer.end()
}
