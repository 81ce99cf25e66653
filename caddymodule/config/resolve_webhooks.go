package config

import "net/netip"

// webhooks resolves the networks that webhooks may reach beside the public Internet.
func (r *resolver) webhooks(c *WebhooksConfig) (networks []netip.Prefix) {
	if c == nil {
		return nil
	}
	for _, raw := range c.Networks {
		text := r.expand("webhooks networks", raw)
		network, err := netip.ParsePrefix(text)
		if err != nil {
			r.fault("webhooks networks", "%q is no network such as 10.0.0.0/8", text)
			continue
		}
		networks = append(networks, network.Masked())
	}
	return networks
}

// hashableNetworks are networks for the key of the settings.
func hashableNetworks(networks []netip.Prefix) []string {
	fields := make([]string, len(networks))
	for i, n := range networks {
		fields[i] = n.String()
	}
	return fields
}
