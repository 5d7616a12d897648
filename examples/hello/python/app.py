"""The hello app in Python: the standard library of CPython, made a component by componentize-py. What it prints, and why, is in
../README.md."""

import os
import sys
import time

from wit_world import exports
from wit_world.imports import exit as wasi_exit

# 2024-01-01T00:00:00Z in seconds since the Unix epoch: any clock that is set at all is past it.
YEAR_2024 = 1_704_067_200
# How often the monotonic clock is read to see that it never goes back.
MONOTONIC_READINGS = 100
NOTE = "written by hello\n"


class Run(exports.Run):
    def run(self) -> None:
        print("hello, component")
        for argument in sys.argv[1:]:
            print(f"argument: {argument}")
        print(f"greeting: {os.environ.get('GREETING', 'unset')}")
        print(f"site: {first_line_of_site()}")
        print(f"clock {verdict(time.time() > YEAR_2024)}")
        print(f"monotonic {verdict(monotonic_clock_never_goes_back())}")
        print(f"random {verdict(os.urandom(16) != os.urandom(16))}")
        print(f"tmp {verdict(tmp_keeps_a_note())}")
        print("hello: done", file=sys.stderr)
        # The exit ends the app at once, with what Python still holds back.
        sys.stdout.flush()
        sys.stderr.flush()
        wasi_exit.exit_with_code(int(os.environ.get("EXIT_CODE", "0")))


def verdict(ok: bool) -> str:
    return "ok" if ok else "wrong"


def first_line_of_site() -> str:
    try:
        with open("/site/hello.txt", encoding="utf-8") as file:
            return file.readline().rstrip("\n")
    except OSError:
        return "no file"


def monotonic_clock_never_goes_back() -> bool:
    readings = [time.monotonic_ns() for _ in range(MONOTONIC_READINGS)]
    return readings == sorted(readings)


def tmp_keeps_a_note() -> bool:
    try:
        with open("/tmp/note.txt", "w", encoding="utf-8") as file:
            file.write(NOTE)
        with open("/tmp/note.txt", encoding="utf-8") as file:
            return file.read() == NOTE
    except OSError:
        return False
