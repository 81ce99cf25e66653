package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"mana.how/edge"
)

// reload hands the config to the running edge, as Caddy's command does. The
// edge judges it, for its environment may be another one than this command's.
func (c loader) reload(config []byte, file, adapter string) (code int, done bool) {
	if file == "" {
		return 0, false
	}
	address, err := caddycmd.DetermineAdminAPIAddress(c.text("address"), config, file, c.text("adapter"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return caddy.ExitCodeFailedStartup, true
	}
	headers := http.Header{
		"Caddy-Config-Source-File":    {file},
		"Caddy-Config-Source-Adapter": {adapter},
	}
	// Caddy takes a config for the one that runs where its text is the same: a
	// file that it names may hold something else by now.
	if c.is("force") || bytes.Contains(config, []byte("{file.")) {
		headers.Set("Cache-Control", "must-revalidate")
	}
	response, err := caddycmd.AdminAPIRequest(address, http.MethodPost, "/load", headers, bytes.NewReader(config))
	if err == nil {
		return caddy.ExitCodeSuccess, response.Body.Close() == nil
	}
	refusal := refusalIn(err.Error())
	if list := edge.ConfigErrorsIn(refusal); len(list) > 0 {
		show(os.Stderr, edge.LocateErrors(list, file))
	} else {
		fmt.Fprintln(os.Stderr, refusal)
	}
	return caddy.ExitCodeFailedStartup, true
}

// refusalIn is what the edge answered, out of the text of an error: the admin
// endpoint answers in JSON.
func refusalIn(text string) string {
	var answer struct{ Error string }
	if at := strings.IndexByte(text, '{'); at >= 0 && json.Unmarshal([]byte(text[at:]), &answer) == nil && answer.Error != "" {
		return answer.Error
	}
	return text
}
