package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Name is where an external database is, for people.
func (d Database) Name() string {
	config, err := pgxpool.ParseConfig(d.listenURL())
	if err != nil {
		return "PostgreSQL"
	}
	var hosts []string
	add := func(host string, port uint16) {
		at := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if filepath.IsAbs(host) {
			at = host
		}
		if len(hosts) == 0 || hosts[len(hosts)-1] != at { // with TLS or without: one host
			hosts = append(hosts, at)
		}
	}
	add(config.ConnConfig.Host, config.ConnConfig.Port)
	for _, other := range config.ConnConfig.Fallbacks {
		add(other.Host, other.Port)
	}
	return fmt.Sprintf("PostgreSQL at %s, database %s", strings.Join(hosts, ", "), config.ConnConfig.Database)
}

// listenURL leads to PostgreSQL itself, past any pooler.
func (d Database) listenURL() string {
	if d.Direct.IsSet() {
		return d.Direct.Reveal()
	}
	return d.URL.Reveal()
}
