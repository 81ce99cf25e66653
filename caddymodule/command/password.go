package command

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"mana.how/edge/caddymodule/command/invoke"
)

// passwordLineLimit bounds what is read in search of a line's end, in bytes.
const passwordLineLimit = 4096

// choosePassword reads a password from the input or a terminal, or makes one.
func choosePassword(inv invoke.Invocation) (password string, generated bool, err error) {
	if inv.On("password-stdin") {
		text, err := bufio.NewReader(io.LimitReader(inv.InOrStdin(), passwordLineLimit)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", false, fmt.Errorf("read the password: %w", err)
		}
		if text = strings.TrimRight(text, "\r\n"); text == "" {
			return "", false, errors.New("--password-stdin: the input is empty")
		}
		return text, false, nil
	}
	if in, ok := inv.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		text, err := askPassword(in, inv.ErrOrStderr())
		if err != nil || text != "" {
			return text, false, err
		}
	}
	return rand.Text(), true, nil
}

// askPassword asks twice, without echo.
func askPassword(in *os.File, prompt io.Writer) (string, error) {
	var answers [2]string
	for i, question := range []string{"Password (empty: make one): ", "Once more: "} {
		fmt.Fprint(prompt, question)
		raw, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if answers[i] = string(raw); answers[0] == "" {
			return "", nil
		}
	}
	if answers[0] != answers[1] {
		return "", errors.New("the passwords differ")
	}
	return answers[0], nil
}
