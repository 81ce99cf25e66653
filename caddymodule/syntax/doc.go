// Package syntax reads blocks of a Caddyfile, and tells what is wrong in them: all
// errors together, each with its file, line, site and directive.
package syntax
