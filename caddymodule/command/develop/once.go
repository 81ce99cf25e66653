package develop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/term"
)

// exitWait is how long a command may take to end after it was asked to.
const exitWait = 10 * time.Second

// runOnce runs the command in a process group of its own, and ends what the
// command leaves in it. Where ctx is over first, the group is asked to end. The
// code is the command's, or 128 and the number of the signal that ended it.
func runOnce(ctx context.Context, command, environment []string) (code int, err error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if terminal := int(os.Stdin.Fd()); term.IsTerminal(terminal) { // which the command may read from
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, terminal
	}
	if err := cmd.Start(); err != nil {
		return 127, fmt.Errorf("start the command: %w", err)
	}
	group := -cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(exitWait):
			_ = syscall.Kill(group, syscall.SIGKILL)
			err = <-ended
		}
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it left behind
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1, err
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
