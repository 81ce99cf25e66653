package localpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Server is a running private PostgreSQL. If its processes die it starts them
// again; clients see broken connections for a moment and the same address after.
type Server struct {
	cluster cluster
	bin     binaries
	options map[string]string
	creds   credentials
	lock    *dirLock
	log     *slog.Logger

	mu      sync.Mutex
	current *process
	stopped bool
	quit    chan struct{} // closed by the first Stop
	done    chan struct{} // closed when nothing runs any more
}

// DSN is the connection string of the unprivileged login role "mana" to its
// database "mana". It holds the password and stays the same while s lives.
func (s *Server) DSN() string { return s.creds.dsn(loginRole, s.creds.Password, databaseName) }

// AdminDSN is the connection string of the superuser. Tests and diagnosis use it;
// nothing that serves requests does.
func (s *Server) AdminDSN() string {
	return s.creds.dsn(adminRole, s.creds.AdminPassword, "postgres")
}

// DatabaseDSN is that of the superuser to the database of the login role, for programs
// that copy all of it.
func (s *Server) DatabaseDSN() string {
	return s.creds.dsn(adminRole, s.creds.AdminPassword, databaseName)
}

// Done is closed when the server is down for good, after [Server.Stop]. A crash
// does not close it: the server comes back by itself.
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) socket() bool { return filepath.IsAbs(s.creds.Host) }

// chooseAddress sets where the server listens: a socket only its user can reach,
// or a free loopback port where the socket's path would be too long.
func (s *Server) chooseAddress() error {
	former := s.creds
	s.creds.Host, s.creds.Port = s.cluster.run(), 5432
	if len(filepath.Join(s.creds.Host, ".s.PGSQL.5432")) > maxSocketPath() {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a loopback port: %w", err)
		}
		s.creds.Host, s.creds.Port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return err
		}
	}
	if s.creds == former {
		return nil
	}
	return s.creds.write(s.cluster.dir)
}

// boot starts the server and waits until it takes connections. It tries again
// where the former server's last processes, or another program on the port, are
// in the way.
func (s *Server) boot(ctx context.Context) (*process, error) {
	const tries = 5
	for try := 1; ; try++ {
		if err := s.chooseAddress(); err != nil {
			return nil, err
		}
		p, err := s.launch()
		if err != nil {
			return nil, err
		}
		err = s.await(ctx, p)
		if err == nil {
			return p, nil
		}
		p.terminate(s.log)
		if !errors.Is(err, errExited) || try == tries {
			return nil, fmt.Errorf("start PostgreSQL %s in %s: %w: %s", s.bin.version, s.cluster.data(), err, logTail(s.cluster.log()))
		}
		s.log.Warn("embedded PostgreSQL did not start, trying again", "error", err, "try", try)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 300 * time.Millisecond):
		}
	}
}

var errExited = errors.New("the server ended at once")

// await returns once p takes connections, ends, or ctx does. Crash recovery may
// take its time.
func (s *Server) await(ctx context.Context, p *process) error {
	for {
		err := ping(ctx, s.AdminDSN())
		if err == nil {
			return nil
		}
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code != "57P03" { // cannot_connect_now
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%w: %w", errExited, p.err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ping opens a connection and closes it.
func ping(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// supervise starts the server again when it dies, until Stop.
func (s *Server) supervise(p *process) {
	defer close(s.done)
	const shortest, longest = 100 * time.Millisecond, 30 * time.Second
	wait, began := shortest, time.Now()
	for {
		if p != nil {
			<-p.exited
		}
		s.mu.Lock()
		stopped := s.stopped
		s.mu.Unlock()
		if stopped {
			return
		}
		if p != nil {
			s.log.Error("embedded PostgreSQL died, starting it again", "pid", p.pid(), "exit", p.err, "log", s.cluster.log(), "said", logTail(s.cluster.log()), "wait", wait)
		}
		if time.Since(began) > time.Minute {
			wait = shortest
		}
		select {
		case <-s.quit:
			return
		case <-time.After(wait):
		}
		wait, began = min(2*wait, longest), time.Now()
		p = s.relaunch()
	}
}

// relaunch starts the server unless Stop came first.
func (s *Server) relaunch() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	if err := s.cluster.clearStalePID(); err != nil {
		s.log.Error("embedded PostgreSQL cannot start", "error", err)
	}
	p, err := s.launch()
	if err != nil {
		s.log.Error("embedded PostgreSQL cannot start", "error", err)
		s.current = nil
		return nil
	}
	s.log.Info("embedded PostgreSQL started again", "pid", p.pid())
	s.current = p
	return p
}

// Stop shuts the server down: fast, which breaks connections and writes a
// checkpoint; at the end of ctx (or 30 s) at once, which leaves a recovery to the
// next start and is the error returned. The server is gone when Stop returns, and
// a repeated call waits for the first.
func (s *Server) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	s.mu.Lock()
	first := !s.stopped
	if first {
		s.stopped = true
		close(s.quit)
	}
	p := s.current
	s.mu.Unlock()
	if !first {
		<-s.done
		return nil
	}
	var err error
	if p != nil {
		err = p.stop(ctx, s.log)
	}
	<-s.done
	s.lock.release()
	s.log.Info("embedded PostgreSQL stopped", "cluster", s.cluster.home)
	return err
}
