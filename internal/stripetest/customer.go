package stripetest

func (s *Server) customerRoutes() {
	const fields = " email name description phone metadata.*"
	s.retrieve("/v1/customers", "customer")
	s.lists("/v1/customers", "customer", "email", nil)
	s.route("POST /v1/customers", "", fields, s.createCustomer)
	s.route("POST /v1/customers/{id}", "customer", fields, s.updateCustomer)
	s.route("DELETE /v1/customers/{id}", "customer", "", s.deleteCustomer)
}

func (s *Server) createCustomer(c *call) (object, *refusal) {
	customer := s.add("customer", object{
		"email": text(c.str("email")), "name": text(c.str("name")), "description": text(c.str("description")),
		"phone": text(c.str("phone")), "metadata": c.metadata("metadata"),
		"address": nil, "balance": int64(0), "currency": nil, "default_source": nil, "delinquent": false,
		"discount": nil, "invoice_settings": object{"custom_fields": nil, "default_payment_method": nil, "footer": nil},
		"next_invoice_sequence": int64(1), "preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none",
		"test_clock": nil,
	})
	customer["invoice_prefix"] = "TEST" + customer.id()[len("cus_"):]
	s.emit("customer.created", customer)
	return customer, nil
}

func (s *Server) updateCustomer(c *call) (object, *refusal) {
	if c.target.bool("deleted") {
		return nil, missing(404, "customer", c.target.id(), "customer")
	}
	s.change("customer.updated", c.target, func() {
		for _, field := range []string{"email", "name", "description", "phone"} {
			if c.has(field) {
				c.target[field] = text(c.str(field))
			}
		}
		c.merge("metadata", c.target.metadata())
	})
	return c.target, nil
}

// deleteCustomer also ends the customer's subscriptions, and forgets their cards.
func (s *Server) deleteCustomer(c *call) (object, *refusal) {
	if c.target.bool("deleted") {
		return nil, missing(404, "customer", c.target.id(), "customer")
	}
	for _, sub := range s.all("subscription") {
		if sub.str("customer") == c.target.id() && !over(sub) {
			s.endSubscription(sub)
		}
	}
	for _, used := range s.all("payment_method") {
		if used.str("customer") == c.target.id() {
			used["customer"] = nil
		}
	}
	c.target["deleted"] = true
	s.emit("customer.deleted", c.target)
	return c.target, nil
}
