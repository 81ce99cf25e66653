package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "the repository")
	out := flag.String("out", "site", "where the site goes")
	flag.Parse()
	s, err := Read(os.DirFS(*root))
	if err == nil {
		err = s.Write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d pages in %s\n", len(s.Pages), *out)
}
