// Package device names devices for the people who own them.
package device

import (
	"strings"

	"github.com/mileusna/useragent"

	"mana.how/edge/internal/usertext"
)

const maxName = 60

// Name is what a User-Agent header (RFC 9110, section 10.1.5) says of a device:
// "Chrome on Linux", the program alone where the system is not known, or
// nothing where the header is empty.
func Name(agent string) string {
	agent = strings.TrimSpace(agent)
	if agent == "" {
		return ""
	}
	ua := useragent.Parse(agent)
	program, system := ua.Name, ua.OS
	if program == "" || strings.Contains(program, "/") || !strings.Contains(agent, program) && ua.OS == "" {
		program, _, _ = strings.Cut(agent, "/")
	}
	switch system {
	case useragent.MacOS:
		system = "macOS"
	case useragent.ChromeOS:
		system = "ChromeOS"
	}
	if ua.Device != "" && (ua.Mobile || ua.Tablet) && system != "" {
		switch ua.Device {
		case "iPhone", "iPad":
			system = ua.Device
		}
	}
	name := program
	if system != "" && system != program {
		name += " on " + system
	}
	return usertext.Clean(name, maxName)
}
