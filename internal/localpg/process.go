package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"syscall"
	"time"
)

// errNotFast reports a server that had to be stopped without a checkpoint.
var errNotFast = errors.New("PostgreSQL did not stop in time and was ended at once: its next start recovers")

// process is a postmaster, child of this process.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended, once exited is closed
}

// launch starts the postmaster. It is bound to no context: only stop ends it.
func (s *Server) launch() (*process, error) {
	out, err := openLog(s.cluster)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(s.bin.path("postgres"), s.arguments()...)
	cmd.Dir = s.cluster.data()
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = s.cluster.account.attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start postgres as user %s: %w", s.cluster.account.name, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop asks for a fast shutdown, and for an immediate one when ctx ends.
func (p *process) stop(ctx context.Context, log *slog.Logger) error {
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
	}
	log.Warn("embedded PostgreSQL is slow to stop, ending it at once", "pid", p.pid())
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second): // the postmaster kills its children after 5 s
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	return errNotFast
}

// terminate ends a server that is of no use.
func (p *process) terminate(log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = p.stop(ctx, log)
}
