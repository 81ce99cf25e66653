package caddymodule

import (
	"net"
	"net/url"
	"os"
	"strings"
)

// environment looks variables up. Those of the replaced service are defaults
// of the directives, so that its .env starts this one.
type environment func(name string) (string, bool)

var processEnvironment environment = os.LookupEnv

// get returns a variable without blanks around it; one that is not set is empty.
func (e environment) get(name string) string {
	text, _ := e(name)
	return strings.TrimSpace(text)
}

func (e environment) first(names ...string) string {
	for _, name := range names {
		if text := e.get(name); text != "" {
			return text
		}
	}
	return ""
}

// redisURL puts REDIS_HOST, REDIS_PORT and REDIS_PASSWORD together. Without a
// host there is no Redis.
func (e environment) redisURL() string {
	host := e.get("REDIS_HOST")
	if host == "" {
		return ""
	}
	port := e.get("REDIS_PORT")
	if port == "" {
		port = "6379"
	}
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort(strings.Trim(host, "[]"), port)}
	if password := e.get("REDIS_PASSWORD"); password != "" {
		u.User = url.UserPassword("", password)
	}
	return u.String()
}
