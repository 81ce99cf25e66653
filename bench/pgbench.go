package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"mana.how/edge/internal/localpg"
)

// pgbench is a load of one script by PostgreSQL's own client, prepared
// statements and no think time: what the cluster can do with nothing around it.
type pgbench struct {
	program, dsn, script string
	clients              int
}

// newPgbench finds the program beside the server's own, and keeps the script.
func (s *stand) newPgbench(ctx context.Context, name, script string) (*pgbench, error) {
	dsn, ok, err := localpg.Attach(ctx, s.databaseDir())
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the edge's database does not run")
	}
	program, err := findPgbench()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, name+".sql")
	return &pgbench{program, dsn, file, s.clients}, os.WriteFile(file, []byte(script), 0o600)
}

func findPgbench() (string, error) {
	if found, err := exec.LookPath("pgbench"); err == nil {
		if resolved, err := filepath.EvalSymlinks(found); err != nil || filepath.Base(resolved) == "pgbench" {
			return found, nil
		} // else it is Debian's wrapper, which wants a cluster of its own
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil || len(found) == 0 {
		return "", errors.New("pgbench is not installed: it comes with the PostgreSQL server's package")
	}
	return found[len(found)-1], nil
}

// progress is what pgbench prints each second (-P 1).
var progress = regexp.MustCompile(`(?m)^progress: [0-9.]+ s, ([0-9.]+) tps, lat ([0-9.]+) ms`)

// Run implements runner. Its quantiles are the average: pgbench reports no others.
//
// It runs a second longer than counts, since pgbench may leave out the last line. The
// first is not counted either. In it the sessions are opened, which takes a
// third of it, and each of them plans its statements and fills its caches.
func (p *pgbench) Run(ctx context.Context, d time.Duration) (Sample, error) {
	seconds := max(1, int(d.Seconds()))
	out, err := exec.CommandContext(ctx, p.program, "-n", "-M", "prepared", "-c", strconv.Itoa(p.clients), "-j", "2",
		"-T", strconv.Itoa(2+seconds), "-P", "1", "-f", p.script, p.dsn).CombinedOutput()
	if err != nil {
		return Sample{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return steady(out)
}

// steady reads the figures after the first second.
func steady(out []byte) (Sample, error) {
	lines := progress.FindAllSubmatch(out, -1)
	if len(lines) < 2 {
		return Sample{}, fmt.Errorf("pgbench printed no figures after the first second:\n%s", out)
	}
	var transactions, latencies float64
	for _, line := range lines[1:] {
		rate, err := strconv.ParseFloat(string(line[1]), 64)
		if err != nil {
			return Sample{}, err
		}
		latency, err := strconv.ParseFloat(string(line[2]), 64)
		if err != nil {
			return Sample{}, err
		}
		transactions += rate
		latencies += rate * latency
	}
	if transactions == 0 {
		return Sample{}, fmt.Errorf("pgbench ran no transaction after the first second:\n%s", out)
	}
	mean := time.Duration(latencies / transactions * float64(time.Millisecond))
	return Sample{Requests: int(transactions), Elapsed: time.Duration(len(lines)-1) * time.Second, P50: mean, P99: mean}, nil
}
