package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("hello from {{name}}")
	for _, argument := range os.Args[1:] {
		fmt.Println("argument:", argument)
	}
}
