package develop

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// upstreamForm is host:port, the host a name or an address.
var upstreamForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$`)

// chooseUpstreams gives those of port 0 a free one.
func chooseUpstreams(asked []string) ([]string, error) {
	chosen := slices.Clone(asked)
	for i, upstream := range asked {
		host, isFree := strings.CutSuffix(upstream, ":0")
		if !isFree {
			continue
		}
		l, err := net.Listen("tcp", upstream)
		if err != nil {
			return nil, fmt.Errorf("--upstream: %w", err)
		}
		defer l.Close() // when all are chosen
		chosen[i] = fmt.Sprintf("%s:%d", host, l.Addr().(*net.TCPAddr).Port)
	}
	return chosen, nil
}

// gate is what the site of an app has where no file says otherwise.
const gate = `mana_auth {
		headers name picture
		assertion app
	}`

// siteFile is the absolute path of a file of directives, which must be there.
func siteFile(named string) (string, error) {
	if named == "" {
		return "", nil
	}
	file, err := filepath.Abs(named)
	if err == nil {
		_, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("--site: %w", err)
	}
	return file, nil
}
