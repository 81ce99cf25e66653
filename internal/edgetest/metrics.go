package edgetest

import (
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"mana.how/edge/caddymodule/metrics"
)

// WriteMetrics writes all measurements as Prometheus reads them.
func WriteMetrics(w io.Writer) error {
	registry := prometheus.NewRegistry()
	if err := metrics.Process.RegisterAt(registry); err != nil {
		return err
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}
