package handler

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mana.how/edge/authcore/servicekey"
	"mana.how/edge/caddymodule/answer"
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/request"
)

// metricsPath is where Prometheus reads.
const metricsPath = "/metrics"

// anyServiceKey names the key without a name, as its option does.
const anyServiceKey = "service_key"

// What is answered to who may not read the metrics.
var (
	refuseNetwork  = answer.Error{Status: http.StatusForbidden, Code: "FORBIDDEN", Message: "Forbidden: the metrics are not for this address"}
	refuseNoKey    = answer.Error{Status: endpoint.ErrNoServiceKey.Status, Code: endpoint.ErrNoServiceKey.Code, Message: endpoint.ErrNoServiceKey.Message}
	refuseWrongKey = answer.Error{Status: endpoint.ErrWrongServiceKey.Status, Code: endpoint.ErrWrongServiceKey.Code, Message: endpoint.ErrWrongServiceKey.Message}
)

// scrape shows Caddy's registry to those who may read it.
type scrape struct {
	networks []netip.Prefix
	keys     servicekey.Set
	registry http.Handler
}

// newScrape reads who may: addresses, networks, `private_ranges`, and service
// keys by their name, by themselves, or all that may read metrics by the word
// `service_key`. Nothing named is `service_key`.
func newScrape(readers []string, known servicekey.Set, registry *prometheus.Registry) (*scrape, error) {
	s := &scrape{registry: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})}
	if len(readers) == 0 {
		readers = []string{anyServiceKey}
	}
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("mana_api: metrics: "+format, args...))
	}
	replacer := caddy.NewReplacer()
	for _, reader := range readers {
		reader = replacer.ReplaceAll(reader, "")
		if networks := networksOf(reader); len(networks) > 0 {
			s.networks = append(s.networks, networks...)
			continue
		}
		keys := keysOf(reader, known)
		if len(keys) == 0 && reader == anyServiceKey {
			fault("no service_key of the mana block may read them; set one with the scope %s, or name addresses", servicekey.ReadMetrics)
		} else if len(keys) == 0 {
			fault("%s is neither an address, a network, private_ranges nor a service_key of the mana block", quoted(reader))
		}
		for _, key := range keys {
			if !key.May(servicekey.ReadMetrics) {
				fault("the service_key %q lacks the scope %s", key.Name, servicekey.ReadMetrics)
			}
		}
		s.keys = append(s.keys, keys...)
	}
	return s, errors.Join(faults...)
}

// networksOf are those that an argument names, none where it names a key.
func networksOf(reader string) (list []netip.Prefix) {
	expressions := []string{reader}
	if reader == "private_ranges" {
		expressions = caddyhttp.PrivateRangesCIDR()
	}
	for _, expression := range expressions {
		if network, err := caddyhttp.CIDRExpressionToPrefix(expression); err == nil {
			list = append(list, network.Masked())
		}
	}
	return list
}

// keysOf are the service keys that an argument names.
func keysOf(reader string, known servicekey.Set) (list servicekey.Set) {
	if key, ok := known.Find(reader); ok {
		return servicekey.Set{key}
	}
	for _, key := range known {
		if reader == anyServiceKey && key.May(servicekey.ReadMetrics) || reader != "" && reader == key.Name {
			list = append(list, key)
		}
	}
	return list
}

// quoted is a word of the config in an error. What is as long as a key may be
// one, and is not shown.
func quoted(word string) string {
	if len(word) > 40 {
		return "one of its arguments"
	}
	return fmt.Sprintf("%q", word)
}

// serve answers with the metrics, or refuses.
func (s *scrape) serve(w http.ResponseWriter, r *http.Request) error {
	if err := s.admit(r); err != nil {
		return err.Write(w, r)
	}
	w.Header().Set("Cache-Control", "no-store")
	s.registry.ServeHTTP(w, r)
	return nil
}

func (s *scrape) admit(r *http.Request) *answer.Error {
	addr := request.ClientIP(r).Unmap()
	if slices.ContainsFunc(s.networks, func(network netip.Prefix) bool { return network.Contains(addr) }) {
		return nil
	}
	secret, shown := endpoint.ShownServiceKey(r.Header)
	switch _, known := s.keys.Find(secret); {
	case known:
		return nil
	case len(s.keys) == 0:
		return &refuseNetwork
	case shown:
		return &refuseWrongKey
	}
	return &refuseNoKey
}
