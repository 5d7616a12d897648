import sys

from wit_world import exports


class Run(exports.Run):
    def run(self) -> None:
        print("hello from {{name}}")
        for argument in sys.argv[1:]:
            print(f"argument: {argument}")
