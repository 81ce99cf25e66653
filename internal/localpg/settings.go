package localpg

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// reserved are the settings by which this package reaches its server.
var reserved = []string{
	"config_file", "data_directory", "external_pid_file", "hba_file", "ident_file", "listen_addresses",
	"log_destination", "logging_collector", "port", "unix_socket_directories", "unix_socket_permissions",
}

var optionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// checkOptions refuses settings that would cut the server off.
func checkOptions(options map[string]string) (map[string]string, error) {
	for name := range options {
		if !optionName.MatchString(name) {
			return nil, fmt.Errorf("%q is not the name of a PostgreSQL setting", name)
		}
		if slices.Contains(reserved, strings.ToLower(name)) {
			return nil, fmt.Errorf("the PostgreSQL setting %s is not free: the embedded server sets it", name)
		}
	}
	return maps.Clone(options), nil
}

// arguments is the command line of the server.
func (s *Server) arguments() []string {
	settings := map[string]string{"log_line_prefix": "%m [%p] "}
	maps.Copy(settings, s.options)
	settings["log_destination"] = "stderr"
	settings["logging_collector"] = "off"
	settings["port"] = fmt.Sprint(s.creds.Port)
	if s.socket() {
		settings["listen_addresses"] = ""
		settings["unix_socket_directories"] = s.creds.Host
		settings["unix_socket_permissions"] = "0700"
	} else {
		settings["listen_addresses"] = s.creds.Host
		settings["unix_socket_directories"] = ""
	}
	args := []string{"-D", s.cluster.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// serverEnv is the environment of the server and its tools: nothing of this
// process's own, whose variables hold secrets.
func serverEnv() []string {
	env := []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// localeArgs choose code point order and Unicode letters, which no update of the
// system's C library can change under an index.
func localeArgs(major int) []string {
	switch {
	case major >= 17:
		return []string{"--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"}
	case runtime.GOOS == "linux":
		return []string{"--locale", "C.UTF-8"}
	default:
		return []string{"--locale", "C"}
	}
}

// maxSocketPath is the length of sun_path without its NUL.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}
