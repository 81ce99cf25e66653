package config

import (
	"net"
	"net/url"
	"os"
	"strings"
)

// Environment looks variables up. Those of the replaced service are defaults
// of the directives, so that its .env starts this one.
type Environment func(name string) (string, bool)

// ProcessEnvironment is that of this process.
var ProcessEnvironment Environment = os.LookupEnv

// Get returns a variable without blanks around it; one that is not set is empty.
func (e Environment) Get(name string) string {
	text, _ := e(name)
	return strings.TrimSpace(text)
}

// First is the first variable of these that is set and not empty.
func (e Environment) First(names ...string) string {
	for _, name := range names {
		if text := e.Get(name); text != "" {
			return text
		}
	}
	return ""
}

// redisURL puts REDIS_HOST, REDIS_PORT and REDIS_PASSWORD together. Without a
// host there is no Redis.
func (e Environment) redisURL() string {
	host := e.Get("REDIS_HOST")
	if host == "" {
		return ""
	}
	port := e.Get("REDIS_PORT")
	if port == "" {
		port = "6379"
	}
	u := url.URL{Scheme: "redis", Host: net.JoinHostPort(strings.Trim(host, "[]"), port)}
	if password := e.Get("REDIS_PASSWORD"); password != "" {
		u.User = url.UserPassword("", password)
	}
	return u.String()
}
