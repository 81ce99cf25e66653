package stripetest

import (
	"fmt"
	"slices"
	"strings"
)

func (s *Server) priceRoutes() {
	const product = " name description metadata.* active:bool"
	s.retrieve("/v1/products", "product")
	s.lists("/v1/products", "product", "active:bool", nil)
	s.route("POST /v1/products", "", strings.Replace(product, "name", "id name!", 1), s.createProduct)
	s.route("POST /v1/products/{id}", "product", product, func(c *call) (object, *refusal) {
		s.alter(c, "product.updated", "name", "description")
		return c.target, nil
	})
	const price = " nickname lookup_key metadata.* active:bool"
	s.retrieve("/v1/prices", "price")
	s.lists("/v1/prices", "price", "active:bool product type currency lookup_keys.*", matchers{
		"lookup_keys.*": func(c *call, o object) bool {
			keys := c.list("lookup_keys")
			return len(keys) == 0 || slices.Contains(keys, o.str("lookup_key"))
		},
	})
	s.route("POST /v1/prices", "", price+` currency! unit_amount:int! product:product product_data.name
		recurring.interval recurring.interval_count:int`, s.createPrice)
	s.route("POST /v1/prices/{id}", "price", price, func(c *call) (object, *refusal) {
		s.alter(c, "price.updated", "nickname", "lookup_key")
		return c.target, nil
	})
}

// alter takes over text fields, metadata and active.
func (s *Server) alter(c *call, event string, fields ...string) {
	s.change(event, c.target, func() {
		for _, field := range fields {
			if c.has(field) {
				c.target[field] = text(c.str(field))
			}
		}
		if c.has("active") {
			c.target["active"] = c.bool("active")
		}
		c.merge("metadata", c.target.metadata())
	})
}

func (s *Server) createProduct(c *call) (object, *refusal) {
	if _, taken := s.objects[c.str("id")]; taken {
		return nil, invalid("resource_already_exists", "id", "Product already exists.")
	}
	product := s.newProduct(c.str("id"), c.str("name"))
	product["description"] = text(c.str("description"))
	product["metadata"] = c.metadata("metadata")
	product["active"] = !c.has("active") || c.bool("active")
	s.emit("product.created", product)
	return product, nil
}

func (s *Server) newProduct(id, name string) object {
	product := s.add("product", object{
		"id": id, "active": true, "default_price": nil, "description": nil, "images": []any{}, "marketing_features": []any{},
		"name": name, "package_dimensions": nil, "shippable": nil, "statement_descriptor": nil, "tax_code": nil,
		"type": "service", "unit_label": nil, "url": nil,
	})
	product["updated"] = product["created"]
	return product
}

func (s *Server) createPrice(c *call) (object, *refusal) {
	if refused := checkCurrency(c.str("currency"), "currency"); refused != nil {
		return nil, refused
	}
	if c.int("unit_amount") < 0 {
		return nil, invalid("parameter_invalid_integer", "unit_amount", "Invalid non-negative integer")
	}
	interval := c.str("recurring.interval")
	if c.under("recurring") && !slices.Contains([]string{"day", "week", "month", "year"}, interval) {
		return nil, invalid("", "recurring[interval]", "Invalid recurring[interval]: must be one of day, month, week, or year")
	}
	product := c.str("product")
	if product == "" {
		if c.str("product_data.name") == "" {
			return nil, invalid("parameter_missing", "product", "Missing required param: product.")
		}
		product = s.newProduct("", c.str("product_data.name")).id()
	}
	price := s.newPrice("", product, c.int("unit_amount"), strings.ToLower(c.str("currency")), interval, max(c.int("recurring.interval_count"), 1))
	price["nickname"] = text(c.str("nickname"))
	price["lookup_key"] = text(c.str("lookup_key"))
	price["metadata"] = c.metadata("metadata")
	price["active"] = !c.has("active") || c.bool("active")
	s.emit("price.created", price)
	return price, nil
}

func (s *Server) newPrice(id, product string, cents int64, currency, interval string, count int64) object {
	price := object{
		"id": id, "active": true, "billing_scheme": "per_unit", "currency": currency, "custom_unit_amount": nil,
		"lookup_key": nil, "nickname": nil, "product": product, "recurring": nil, "tax_behavior": "unspecified",
		"tiers_mode": nil, "transform_quantity": nil, "type": "one_time", "unit_amount": cents, "unit_amount_decimal": fmt.Sprint(cents),
	}
	if interval != "" {
		price["type"] = "recurring"
		price["recurring"] = object{
			"interval": interval, "interval_count": count, "meter": nil, "trial_period_days": nil, "usage_type": "licensed",
		}
	}
	return s.add("price", price)
}

// AddPrice makes a price in euro with a product of its own, without events,
// and returns its id. An empty id is counted, which Stripe would always do.
// The interval is day, week, month or year; empty for a price that is paid
// once.
func (s *Server) AddPrice(id string, cents int64, interval string) string {
	s.t.Helper()
	s.verb(func() {
		s.t.Helper()
		name := id
		if name == "" {
			name = fmt.Sprintf("%s %s", euro(cents), interval)
		}
		id = s.newPrice(id, s.newProduct("", name).id(), cents, "eur", interval, 1).id()
	})
	return id
}
