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

var (
	transactions = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	tps          = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without`)
	average      = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
)

// errNoTransactions means that the time was over before all connections stood.
var errNoTransactions = errors.New("pgbench ran no transaction")

// Run implements runner. Its quantiles are the average: pgbench reports no others.
func (p *pgbench) Run(ctx context.Context, d time.Duration) (Sample, error) {
	sample, err := p.run(ctx, d)
	if errors.Is(err, errNoTransactions) {
		sample, err = p.run(ctx, 5*d)
	}
	return sample, err
}

func (p *pgbench) run(ctx context.Context, d time.Duration) (Sample, error) {
	out, err := exec.CommandContext(ctx, p.program, "-n", "-M", "prepared", "-c", strconv.Itoa(p.clients), "-j", "2",
		"-T", strconv.Itoa(max(1, int(d.Seconds()))), "-f", p.script, p.dsn).CombinedOutput()
	if err != nil {
		return Sample{}, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	if count := transactions.FindSubmatch(out); count != nil && string(count[1]) == "0" {
		return Sample{}, errNoTransactions
	}
	count, rate, latency := transactions.FindSubmatch(out), tps.FindSubmatch(out), average.FindSubmatch(out)
	if count == nil || rate == nil || latency == nil {
		return Sample{}, fmt.Errorf("pgbench printed no figures:\n%s", out)
	}
	n, _ := strconv.Atoi(string(count[1]))
	perSecond, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil || perSecond == 0 {
		return Sample{}, fmt.Errorf("pgbench printed no rate:\n%s", out)
	}
	ms, _ := strconv.ParseFloat(string(latency[1]), 64)
	mean := time.Duration(ms * float64(time.Millisecond))
	return Sample{Requests: n, Elapsed: time.Duration(float64(n) / perSecond * float64(time.Second)), P50: mean, P99: mean}, nil
}
