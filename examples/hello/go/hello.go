// The hello app in Go: the standard library on WASI preview 1 (GOOS=wasip1). What it prints, and why, is in ../README.md.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Any clock that is set at all is past this.
var year2024 = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)

// How often the monotonic clock is read to see that it never goes back.
const monotonicReadings = 100

const note = "written by hello\n"

func main() {
	fmt.Println("hello, component")
	for _, argument := range os.Args[1:] {
		fmt.Println("argument:", argument)
	}
	greeting, found := os.LookupEnv("GREETING")
	if !found {
		greeting = "unset"
	}
	fmt.Println("greeting:", greeting)
	fmt.Println("site:", firstLineOfSite())
	fmt.Println("clock", verdict(time.Now().After(year2024)))
	fmt.Println("monotonic", verdict(monotonicClockNeverGoesBack()))
	fmt.Println("random", verdict(randomBytesDiffer()))
	fmt.Println("tmp", verdict(tmpKeepsANote()))
	fmt.Fprintln(os.Stderr, "hello: done")
	code, err := strconv.Atoi(os.Getenv("EXIT_CODE"))
	if err != nil {
		code = 0
	}
	os.Exit(code)
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "wrong"
}

func firstLineOfSite() string {
	text, err := os.ReadFile("/site/hello.txt")
	if err != nil {
		return "no file"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func monotonicClockNeverGoesBack() bool {
	before := time.Now()
	for range monotonicReadings {
		now := time.Now()
		// Sub uses the monotonic reading that both times carry.
		if now.Sub(before) < 0 {
			return false
		}
		before = now
	}
	return true
}

func randomBytesDiffer() bool {
	var first, second [16]byte
	rand.Read(first[:])
	rand.Read(second[:])
	return first != second
}

func tmpKeepsANote() bool {
	if err := os.WriteFile("/tmp/note.txt", []byte(note), 0o600); err != nil {
		return false
	}
	found, err := os.ReadFile("/tmp/note.txt")
	return err == nil && string(found) == note
}
