package config

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is where a Redis is: one server, the master that Sentinels name, or a
// Cluster.
type Redis struct {
	server   *redis.Options
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

var errRedisURL = errors.New("redis: the URL is not readable") // the library's own may quote the password

// ParseRedis reads a URL of the form of go-redis: redis[s]://[user:password@]host:port[/db].
// With master_name in its query the hosts, which addr in it adds to, are Sentinels;
// with addr alone they are nodes of a Cluster.
func ParseRedis(text string) (r Redis, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return r, errRedisURL
	}
	switch query := u.Query(); {
	case query.Get("master_name") != "":
		r.sentinel, err = redis.ParseFailoverURL(text)
	case query.Has("addr"):
		if strings.Trim(u.Path, "/") != "" && strings.Trim(u.Path, "/") != "0" {
			return r, errors.New("redis: a Cluster has no database but 0")
		}
		r.cluster, err = redis.ParseClusterURL(text)
	default:
		r.server, err = redis.ParseURL(text)
	}
	if err != nil {
		return Redis{}, errRedisURL
	}
	return r, nil
}

// Client makes a client, and connects nothing. It gives a connection up after the
// time, and a command with its context.
func (r Redis) Client(dial time.Duration) redis.UniversalClient {
	switch {
	case r.sentinel != nil:
		o := *r.sentinel
		o.ContextTimeoutEnabled, o.DialTimeout, o.DialerRetries = true, dial, 1
		return redis.NewFailoverClient(&o)
	case r.cluster != nil:
		o := *r.cluster
		o.ContextTimeoutEnabled, o.DialTimeout, o.DialerRetries = true, dial, 1
		return redis.NewClusterClient(&o)
	}
	o := *r.server
	o.ContextTimeoutEnabled, o.DialTimeout, o.DialerRetries = true, dial, 1
	return redis.NewClient(&o)
}

// String says where it is, without its secrets.
func (r Redis) String() string {
	switch {
	case r.sentinel != nil:
		return r.sentinel.MasterName + " of the Sentinels " + strings.Join(r.sentinel.SentinelAddrs, ", ")
	case r.cluster != nil:
		return "the Cluster " + strings.Join(r.cluster.Addrs, ", ")
	case r.server != nil:
		return r.server.Addr
	}
	return ""
}
